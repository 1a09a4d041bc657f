/**
 * The test device of the recorded kernel runs, on the model: it binds and unbinds like a user of
 * restricted memory, gets and puts pages, and logs every callback. Calls run one after the other
 * in one task, on lowered code.
 */
import assert from 'node:assert/strict'
import type { Design } from '../../src/designs/design.js'
import {
  restrictedmemGetPage,
  upmBackingMapping,
  upmBind,
  upmUnbind,
} from '../../src/designs/upm-mm.js'
import { bootKernel } from '../../src/explore/boot.js'
import { fget, fput } from '../../src/kernel/fs/file_table.js'
import { sysFallocate } from '../../src/kernel/fs/open.js'
import { type AddressSpace, filesStruct } from '../../src/kernel/include/fs.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import type {
  RestrictedmemNotifier,
  RestrictedmemNotifierOps,
} from '../../src/kernel/include/restrictedmem.js'
import type { Pgoff } from '../../src/kernel/include/types.js'
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../src/kernel/include/uapi.js'
import { xaFindAfterIndex, xaFindIndex, xaLoad } from '../../src/kernel/lib/xarray.js'
import { forEachFolio } from '../../src/kernel/mm/page_alloc.js'
import { folioPut, lruAddDrainAll } from '../../src/kernel/mm/swap.js'
import { taskWorkRun } from '../../src/kernel/task_work.js'
import { kzalloc } from '../../src/machine/alloc.js'
import { takeRemarks } from '../../src/machine/fault.js'
import { type FnTag, fn, type Kernel } from '../../src/machine/fn.js'
import { load, runToEnd, variable } from '../../src/machine/machine.js'
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
import { current, setCurrent, taskNumber } from '../../src/machine/task.js'

interface TestNotifier extends Obj {
  id: number
  notifier: RestrictedmemNotifier
}
const TestNotifier: Struct<TestNotifier> = struct<TestNotifier>('TestNotifier', {
  id: num(),
  notifier: embed('RestrictedmemNotifier'),
})

/** A callback as logged: who, which, and the range as it was handed over. */
export type Callback = readonly [
  id: number,
  what: 'start' | 'end' | 'error',
  first: number,
  end: number,
]

let log: Callback[] = []

/** The callbacks since the last time. */
export function callbacks(): Callback[] {
  const taken = log
  log = []
  return taken
}

function note(n: RestrictedmemNotifier, what: Callback[1], start: Pgoff, end: Pgoff): void {
  log.push([containerOf(n, TestNotifier, 'notifier').id, what, start, end])
}

const onStart = fn(function* test_invalidate_start(
  n: RestrictedmemNotifier,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  note(n, 'start', start, end)
})
const onEnd = fn(function* test_invalidate_end(
  n: RestrictedmemNotifier,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  note(n, 'end', start, end)
})
const onError = fn(function* test_error(
  n: RestrictedmemNotifier,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  note(n, 'error', start, end)
  forEachFolio((folio) => {
    if (!folio.hwpoison || folio.mapping === null || folio.index !== start) return
    const { lockOwner, refcount } = folio
    context = { atomic: current().preemptCount > 0, locked: lockOwner !== 0, refcount }
  })
})

/** In what state an error callback found the world; the page is still in the cache. */
export interface ErrorContext {
  readonly atomic: boolean
  readonly locked: boolean
  readonly refcount: number
}

let context: ErrorContext | undefined

/** The context of the last error callback, if the page that failed was in the cache. */
export const errorContext = (): ErrorContext | undefined => context

const testOps: RestrictedmemNotifierOps = opsTable({
  name: 'test_notifier_ops',
  invalidateStart: onStart,
  invalidateEnd: onEnd,
  error: onError,
})

const devBind = fn(function* dev_bind(
  fd: number,
  first: Pgoff,
  last: Pgoff,
  id: number,
  exclusive: boolean,
): Kernel<number> {
  const file = (yield* fget(fd))!
  const n = kzalloc(TestNotifier)
  n.id = id
  n.notifier.ops = testOps
  const ret = yield* upmBind(file, first, last, n.notifier, exclusive)
  yield* fput(file)
  return ret
})

const devUnbind = fn(function* dev_unbind(fd: number, first: Pgoff, last: Pgoff): Kernel<number> {
  const file = (yield* fget(fd))!
  yield* upmUnbind(file, first, last)
  yield* fput(file)
  return 0
})

const devGetPage = fn(function* dev_get_page(fd: number, index: Pgoff): Kernel<number> {
  const file = (yield* fget(fd))!
  const folio = yield* restrictedmemGetPage(file, index)
  yield* fput(file)
  if (isErr(folio)) return ptrErr(folio)
  held.push(folio)
  return 0
})

const held: Folio[] = []

const devPutPage = fn(function* dev_put_page(): Kernel<number> {
  yield* folioPut(held.pop()!)
  return 0
})

const devDrain = fn(function* dev_drain(): Kernel<number> {
  yield* lruAddDrainAll()
  return 0
})

/** Boot a design's kernel. */
export function start(design: Design): void {
  bootKernel(design, 'lowered')
  held.length = 0
  log = []
  context = undefined
}

/** Call a kernel function and return its result; anything that goes wrong fails the test. */
export function call(f: FnTag, ...args: unknown[]): number {
  load({
    faults: 0,
    exitWork: taskWorkRun,
    tasks: [
      {
        name: 'test',
        operations: [{ fn: f, args: args.map((value) => ({ value })), variable: 0, text: f.cName }],
      },
    ],
  })
  const trouble = runToEnd()
  assert.equal(trouble, undefined, `${f.cName}: ${trouble}`)
  return variable(0)
}

/** The same where a warning of the kernel is part of what was observed. */
export function callWarned(f: FnTag, ...args: unknown[]): string {
  load({
    faults: 0,
    exitWork: taskWorkRun,
    tasks: [
      {
        name: 'test',
        operations: [{ fn: f, args: args.map((value) => ({ value })), text: f.cName }],
      },
    ],
  })
  const trouble = runToEnd()
  takeRemarks()
  return typeof trouble === 'string' ? trouble : (trouble?.id ?? 'nothing')
}

const page = (n: number): Pgoff => n as Pgoff

export const bind = (
  fd: number,
  first: number,
  last: number,
  id: number,
  exclusive = true,
): number => call(devBind, fd, page(first), page(last), id, exclusive)
export const unbind = (fd: number, first: number, last: number): number =>
  call(devUnbind, fd, page(first), page(last))
export const getPage = (fd: number, index: number): number => call(devGetPage, fd, page(index))
export const getPageWarned = (fd: number, index: number): string =>
  callWarned(devGetPage, fd, page(index))
export const putPage = (): number => call(devPutPage)
export const drain = (): number => call(devDrain)
/** The folio that the last get_page returned, or the last one put. */
export const lastPage = (): Folio => held.at(-1)!

/** Punch whole pages [first, end). */
export function punch(fd: number, first: number, end: number): number {
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
  return call(sysFallocate, fd, mode, BigInt(first) * 4096n, BigInt(end - first) * 4096n)
}

/** Allocate pages [first, end) with fallocate mode 0. */
export function allocate(fd: number, first: number, end: number): number {
  return call(sysFallocate, fd, 0, BigInt(first) * 4096n, BigInt(end - first) * 4096n)
}

/** The inner mapping behind a descriptor. */
export function inner(fd: number): AddressSpace {
  setCurrent(taskNumber(0))
  const mapping = upmBackingMapping(filesStruct().fd.get(fd)!)!
  setCurrent(undefined)
  return mapping
}

/** The folio cached at a page of the file, or null. */
export function cached(fd: number, index: number): Folio | null {
  return xaLoad(inner(fd).iPages, index) as Folio | null
}

/** Who owns each of these indices; -1 for nobody. */
export function owners(fd: number, first: number, last: number): number[] {
  const rm = filesStruct().fd.get(fd)!.fMapping!.privateData as unknown as {
    bindings: Parameters<typeof xaLoad>[0]
  }
  return Array.from({ length: last - first + 1 }, (_, i) => {
    const n = xaLoad(rm.bindings, first + i) as RestrictedmemNotifier | null
    return n === null ? -1 : containerOf(n, TestNotifier, 'notifier').id
  })
}

/** The entries of the bindings: [first index, owner]. */
export function entries(fd: number): [number, number][] {
  const rm = filesStruct().fd.get(fd)!.fMapping!.privateData as unknown as {
    bindings: Parameters<typeof xaLoad>[0]
  }
  const found: [number, number][] = []
  for (
    let i = xaFindIndex(rm.bindings, 0, 2 ** 52);
    i >= 0;
    i = xaFindAfterIndex(rm.bindings, i, 2 ** 52)
  ) {
    const n = xaLoad(rm.bindings, i) as RestrictedmemNotifier
    found.push([i, containerOf(n, TestNotifier, 'notifier').id])
  }
  return found
}
