/**
 * XArray: an array indexed by unsigned longs, a tree of 64-slot nodes whose entries may span an
 * aligned power of two, or a run within one node, of indices.
 *
 * A slot holds an entry, encoded in one word: 0 is NULL, a positive number is a pointer, and
 * negative numbers are the internal and value entries that `lib/xarray.ts` defines.
 * Guard: `xaLock` for writers; readers use RCU and announce the array as a whole.
 */
import '../../machine/locks.js'
import type { Spinlock } from '../../machine/locks.js'
import {
  embed,
  num,
  type Obj,
  ptr,
  type Struct,
  struct,
  type Vec,
  vec,
} from '../../machine/struct.js'

export const XA_CHUNK_SHIFT = 6
export const XA_CHUNK_SIZE = 64
export const XA_MAX_MARKS = 3

export interface XArray extends Obj {
  xaLock: Spinlock
  /** Head entry: NULL, a lone entry for index 0, or a node. */
  xaHead: number
  /** Bit mask of the marks that some entry has. */
  xaFlags: number
}

export const XArray: Struct<XArray> = struct<XArray>(
  'XArray',
  { xaLock: embed('Spinlock'), xaHead: num(), xaFlags: num() },
  { capacity: 64, quiet: ['xaHead', 'xaFlags'] },
)

export interface XaNode extends Obj {
  /** Bits of the index below this node's. */
  shift: number
  /** Slot of the parent that points here. */
  offset: number
  /** Slots that are not NULL. */
  count: number
  parent: XaNode | null
  /** Which array this node belongs to. */
  array: XArray | null
  slots: Vec
  /** Two words for each mark. */
  marks: Vec
}

export const XaNode: Struct<XaNode> = struct<XaNode>(
  'XaNode',
  {
    shift: num(),
    offset: num(),
    count: num(),
    parent: ptr('XaNode'),
    array: ptr('XArray'),
    slots: vec(XA_CHUNK_SIZE),
    marks: vec(XA_MAX_MARKS * 2),
  },
  { quiet: true },
)

/** An index, 0 to 2^53 - 1; or -1 for none. */
export type XaIndex = number & { readonly __wide: string }
