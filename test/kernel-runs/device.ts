/**
 * The test device of the recorded runs: it binds and unbinds like a user of restricted memory,
 * gets, holds and puts pages, logs every callback, and has a model of a secondary MMU for each
 * notifier. A fault follows KVM's protocol: snapshot of the sequence, get_page, test of sequence
 * and of the range in progress, map, drop the reference; it dirties nothing.
 *
 * What the device itself remembers is no state of the kernel and lies outside its memory.
 */
import { fileIsRestrictedmem } from '../../src/designs/upm-kvm.js'
import { restrictedmemGetPage, upmBind, upmUnbind } from '../../src/designs/upm-mm.js'
import { fget, fput } from '../../src/kernel/fs/file_table.js'
import { EAGAIN, ENOTTY } from '../../src/kernel/include/errno.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import type {
  RestrictedmemNotifier,
  RestrictedmemNotifierOps,
} from '../../src/kernel/include/restrictedmem.js'
import type { Pfn, Pgoff } from '../../src/kernel/include/types.js'
import { pfnToFolio } from '../../src/kernel/mm/page_alloc.js'
import { folioPut, lruAddDrainAll } from '../../src/kernel/mm/swap.js'
import { kzalloc } from '../../src/machine/alloc.js'
import { read } from '../../src/machine/effects.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import {
  containerOf,
  embed,
  isErr,
  num,
  type Obj,
  opsTable,
  ptrErr,
  type Struct,
  struct,
} from '../../src/machine/struct.js'
import { current, mightSleep } from '../../src/machine/task.js'
import type { Context, LogEntry } from './recording.js'
import { arrive } from './runner.js'

interface TestNotifier extends Obj {
  id: number
  notifier: RestrictedmemNotifier
}
/** Never freed: the device does not know when the last callback is over. */
const TestNotifier: Struct<TestNotifier> = struct<TestNotifier>(
  'TestNotifier',
  { id: num(), notifier: embed('RestrictedmemNotifier') },
  { capacity: 1024 },
)

/** Which notifier an entry of the bindings is. */
export function idOf(n: RestrictedmemNotifier): number {
  return containerOf(n, TestNotifier, 'notifier').id
}

/** The secondary MMU behind one notifier, and how often it was called. */
export interface Mmu {
  readonly spte: Map<number, Pfn>
  seq: number
  /** Invalidations under way, and the range that they span together. */
  inProgress: number
  first: number
  end: number
  starts: number
  ends: number
  errors: number
}

let mmus = new Map<number, Mmu>()
let log: LogEntry[] = []
let held: Folio[] = []
let watched: Pfn | undefined
let errorMaySleep = false
let lastFault: { pfn: Pfn; refWhileHeld: number } | undefined

/** Forget everything, as after a boot. */
export function resetDevice(): void {
  mmus = new Map()
  log = []
  held = []
  watched = undefined
  errorMaySleep = false
  lastFault = undefined
}

export function mmu(id: number): Mmu {
  let m = mmus.get(id)
  if (m === undefined) {
    const none = { inProgress: 0, first: 0, end: 0, starts: 0, ends: 0, errors: 0 }
    m = { spte: new Map(), seq: 0, ...none }
    mmus.set(id, m)
  }
  return m
}

/** Give a notifier an empty secondary MMU and set its counters to 0. */
export function resetMmu(id: number): void {
  mmus.delete(id)
}

/** The callbacks since the last time. */
export function takeLog(): LogEntry[] {
  const taken = log
  log = []
  return taken
}

/** A frame that nobody has had: what is watched when the recorded frame is free. */
export const FREE_FRAME = 4095 as Pfn

/** From now on callbacks tell how this frame is; undefined for none. */
export function watch(pfn: Pfn | undefined): void {
  watched = pfn
}

/** An error callback that calls what may sleep. */
export function letErrorSleep(yes: boolean): void {
  errorMaySleep = yes
}

/** The frame that the last fault mapped or would have mapped, and its references meanwhile. */
export function faulted(): { pfn: Pfn; refWhileHeld: number } {
  if (lastFault === undefined) throw new Error('there was no fault')
  return lastFault
}

/** The folio that the last get_page returned and that is still held. */
export function heldPage(): Folio {
  const folio = held.at(-1)
  if (folio === undefined) throw new Error('no page is held')
  return folio
}

function context(): Context | undefined {
  if (watched === undefined) return undefined
  const folio = pfnToFolio(watched)
  return {
    atomic: Number(current().preemptCount > 0),
    watch_locked: Number(folio !== null && folio.lockOwner !== 0),
    watch_in_cache: Number(folio !== null && folio.mapping !== null),
    watch_ref: folio?.refcount ?? 0,
  }
}

function note(n: RestrictedmemNotifier, what: LogEntry[0], start: Pgoff, end: Pgoff): Mmu {
  const id = idOf(n)
  const how = context()
  log.push(how === undefined ? [what, id, start, end] : [what, id, start, end, how])
  return mmu(id)
}

/** kvm_mmu_invalidate_begin(), then the zap. */
function begin(m: Mmu, start: number, end: number): void {
  m.starts++
  m.inProgress++
  m.first = m.inProgress === 1 ? start : Math.min(m.first, start)
  m.end = m.inProgress === 1 ? end : Math.max(m.end, end)
  for (const index of m.spte.keys()) if (index >= start && index < end) m.spte.delete(index)
}

/** kvm_mmu_invalidate_end(). */
function finish(m: Mmu): void {
  m.ends++
  m.seq++
  m.inProgress--
}

const onStart = fn(function* test_invalidate_start(
  n: RestrictedmemNotifier,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  begin(note(n, 'start', start, end), start, end)
  arrive('start')
  yield read(n, 'ops')
})

const onEnd = fn(function* test_invalidate_end(
  n: RestrictedmemNotifier,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  arrive('end')
  yield read(n, 'ops')
  finish(note(n, 'end', start, end))
})

const onError = fn(function* test_error(
  n: RestrictedmemNotifier,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  note(n, 'error', start, end).errors++
  if (errorMaySleep) mightSleep('test_error')
  arrive('error')
  yield read(n, 'ops')
})

const testOps: RestrictedmemNotifierOps = opsTable({
  name: 'test_notifier_ops',
  invalidateStart: onStart,
  invalidateEnd: onEnd,
  error: onError,
})

/** Bind [first, last], as the XArray takes it; -ENOTTY for another kind of file. */
export const devBind = fn(function* dev_bind(
  fd: number,
  first: Pgoff,
  last: Pgoff,
  id: number,
  exclusive: boolean,
): Kernel<number> {
  const file = (yield* fget(fd))!
  let ret = -ENOTTY
  if (fileIsRestrictedmem(file)) {
    const n = kzalloc(TestNotifier)
    n.id = id
    n.notifier.ops = testOps
    ret = yield* upmBind(file, first, last, n.notifier, exclusive)
  }
  yield* fput(file)
  return ret
})

export const devUnbind = fn(function* dev_unbind(
  fd: number,
  first: Pgoff,
  last: Pgoff,
): Kernel<number> {
  const file = (yield* fget(fd))!
  yield* upmUnbind(file, first, last)
  yield* fput(file)
  return 0
})

/** get_page; the reference is kept until `devPutPage`. */
export const devGetPage = fn(function* dev_get_page(fd: number, index: Pgoff): Kernel<number> {
  const file = (yield* fget(fd))!
  const folio = yield* restrictedmemGetPage(file, index)
  yield* fput(file)
  if (isErr(folio)) return ptrErr(folio)
  held.push(folio)
  return 0
})

/** Put the page that was got first. */
export const devPutPage = fn(function* dev_put_page(): Kernel<number> {
  yield* folioPut(held.shift()!)
  return 0
})

/** Map the frame unless an invalidation has come, or is still under way there: 0 or -EAGAIN. */
function tryMap(id: number, index: number, seq: number, folio: Folio): number {
  const m = mmu(id)
  if (m.inProgress > 0 && index >= m.first && index < m.end) return -EAGAIN
  if (m.seq !== seq) return -EAGAIN
  m.spte.set(index, folio.pfn)
  return 0
}

function noteFault(folio: Folio): void {
  lastFault = { pfn: folio.pfn, refWhileHeld: folio.refcount }
}

/** A guest touches a page: 0, -EAGAIN to try again, or get_page's error. */
export const devFault = fn(function* dev_fault(
  fd: number,
  index: Pgoff,
  id: number,
): Kernel<number> {
  const seq = mmu(id).seq
  const file = (yield* fget(fd))!
  const folio = yield* restrictedmemGetPage(file, index)
  yield* fput(file)
  if (isErr(folio)) return ptrErr(folio)
  noteFault(folio)
  arrive('get_page')
  yield read(folio, 'refcount')
  const ret = tryMap(id, index, seq, folio)
  yield* folioPut(folio)
  return ret
})

/** Drain the LRU batches of all CPUs. */
export const devDrain = fn(function* dev_drain(): Kernel<number> {
  yield* lruAddDrainAll()
  return 0
})
