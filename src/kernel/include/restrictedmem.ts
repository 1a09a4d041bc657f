/**
 * include/linux/restrictedmem.h: what a user of restricted memory registers with the file. The
 * file's own objects belong to the design that implements it.
 */
import type { Op } from '../../machine/fn.js'
import { type Obj, ops, ptr, type Struct, struct } from '../../machine/struct.js'
import type { Pgoff } from './types.js'

export interface RestrictedmemNotifierOps {
  readonly name: string
  readonly invalidateStart: Op<[n: RestrictedmemNotifier, start: Pgoff, end: Pgoff], void>
  readonly invalidateEnd: Op<[n: RestrictedmemNotifier, start: Pgoff, end: Pgoff], void>
  readonly error: Op<[n: RestrictedmemNotifier, start: Pgoff, end: Pgoff], void>
}

export interface RestrictedmemNotifier extends Obj {
  ops: RestrictedmemNotifierOps | null
  /** List link of designs that keep notifiers on a list. Guard: the design's. */
  next: RestrictedmemNotifier | null
}

export const RestrictedmemNotifier: Struct<RestrictedmemNotifier> = struct<RestrictedmemNotifier>(
  'RestrictedmemNotifier',
  { ops: ops(), next: ptr('RestrictedmemNotifier') },
)
