/** E6 and E7 of the recorded runs: soft offline, migration, compaction and drop_caches. */
import { dropCaches } from '../../src/kernel/fs/drop_caches.js'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { sysPwrite } from '../../src/kernel/fs/read_write.js'
import { EBUSY } from '../../src/kernel/include/errno.js'
import {
  MIGRATE_ASYNC,
  MIGRATE_SYNC,
  MIGRATE_SYNC_LIGHT,
  NUMA_NO_NODE,
} from '../../src/kernel/include/mm.js'
import type { Pfn } from '../../src/kernel/include/types.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { migratePages, putbackMovablePages } from '../../src/kernel/mm/migrate.js'
import { pfnToFolio } from '../../src/kernel/mm/page_alloc.js'
import { softOffline } from '../../src/kernel/mm/soft_offline.js'
import { folioGet, folioIsolateLru, folioPut, folioTryGet } from '../../src/kernel/mm/swap.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import {
  allocate,
  bind,
  create,
  drain,
  fault,
  faultAll,
  fill,
  getPage,
  P,
  pfnOf,
  punch,
  putPage,
} from './calls.js'
import { faulted, resetMmu } from './device.js'
import { answerOverride, DRIVER_REASON, takeCounts } from './kernel-log.js'
import { cached, fileState, page, spte } from './observe.js'
import type { Replay } from './replay.js'
import { call } from './runner.js'

const close = (fd: number): number => call(sysClose, fd)

/** migrate_pages() on the page in a frame, as the driver calls it. */
export const devMigrate = fn(function* dev_migrate(pfn: Pfn, mode: number): Kernel<number> {
  const folio = pfnToFolio(pfn)!
  if (!(yield* folioTryGet(folio))) return -EBUSY
  const isolated = yield* folioIsolateLru(folio)
  yield* folioPut(folio)
  if (!isolated) return -EBUSY
  const left = yield* migratePages(folio, NUMA_NO_NODE, mode, DRIVER_REASON)
  if (left !== 0) yield* putbackMovablePages(folio)
  return left
})

/** Take a reference of a frame, or put it. */
const devHold = fn(function* dev_hold(pfn: Pfn, take: boolean): Kernel<number> {
  const folio = pfnToFolio(pfn)!
  if (take) yield* folioGet(folio)
  else yield* folioPut(folio)
  return 0
})

interface Moved {
  readonly x: string
  readonly what: string
  readonly dirty: boolean
  readonly held: boolean
  readonly act: (pfn: Pfn) => number
}

/** One guest page, something that wants to move it, and what is left. */
function moveOnePage(r: Replay, { x, what, dirty, held, act }: Moved): void {
  const fd = create()
  resetMmu(1)
  bind(fd, 0, 63, 1)
  fault(fd, 1)
  const old = pfnOf(fd, 1)
  fill(old, 0x5c)
  if (dirty) allocate(fd, 0, 4)
  drain()
  if (held) getPage(fd, 1)
  const before = page(old)
  takeCounts()
  const ret = act(old)
  const now = cached(fd, 1)
  const moved = now !== null && now.pfn !== old
  const name = `${what}, ${dirty ? 'dirty (fallocated)' : 'clean'}${held ? ', extra reference held' : ''}`
  r.row(x, name, {
    ret,
    obs: {
      before,
      ...takeCounts(),
      old: page(old),
      now_cached: Number(now !== null),
      moved: Number(moved),
      new: moved ? page(now.pfn) : {},
      spte: spte(fd, 1),
    },
  })
  if (r.isNext('next fault on that index')) {
    const next = fault(fd, 1)
    const { pfn } = faulted()
    const obs = { same_pfn_as_old: Number(pfn === old), page: page(pfn) }
    r.row(x, 'next fault on that index', { ret: next, obs })
  }
  const punched = punch(fd, 1, 2)
  if (held) putPage()
  drain()
  r.row(x, 'punch then', { ret: punched, obs: { old: page(old) } })
  close(fd)
}

function e6Moves(r: Replay): void {
  const soft = (pfn: Pfn): number => call(softOffline, pfn, 0)
  const what = 'soft_offline_page (sysfs): guest page'
  for (const held of [false, true]) {
    for (const dirty of [false, true])
      moveOnePage(r, { x: 'E6.soft', what, dirty, held, act: soft })
  }
  const modes = { MIGRATE_ASYNC, MIGRATE_SYNC_LIGHT, MIGRATE_SYNC }
  for (const [name, mode] of Object.entries(modes)) {
    const act = (pfn: Pfn): number => call(devMigrate, pfn, mode)
    const one = { x: 'E6.mig', what: `migrate_pages: ${name}`, act }
    moveOnePage(r, { ...one, dirty: false, held: false })
    moveOnePage(r, { ...one, dirty: true, held: false })
    moveOnePage(r, { ...one, dirty: true, held: true })
  }
}

/** The control group: a page of a plain memfd. */
function e6Control(r: Replay): void {
  for (const held of [false, true]) {
    const fd = call(sysMemfdCreate, 0)
    call(sysPwrite, fd, P, 1, 1)
    drain()
    const old = pfnOf(fd, 1)
    if (held) call(devHold, old, true)
    const before = page(old)
    takeCounts()
    const ret = call(softOffline, old, 0)
    const obs = { before, ...takeCounts(), old: page(old) }
    const name = `control: ordinary memfd page, unmapped${held ? ', extra reference' : ''}`
    r.row('E6.ctl', name, { ret, obs })
    if (held) call(devHold, old, false)
    close(fd)
  }
}

/** An override that answers -EAGAIN is asked ten times. */
function e6Again(r: Replay): void {
  if (!r.isNext('E6.eagain')) return
  answerOverride(true)
  for (const [name, mode] of Object.entries({ MIGRATE_SYNC, MIGRATE_ASYNC })) {
    const what = `migrate_pages: ${name}, callback made to answer -EAGAIN`
    const act = (pfn: Pfn): number => call(devMigrate, pfn, mode)
    moveOnePage(r, { x: 'E6.eagain', what, dirty: true, held: false, act })
  }
  answerOverride(false)
}

function e7Clean(r: Replay): number {
  const fd = create()
  resetMmu(1)
  bind(fd, 0, 63, 1)
  faultAll(fd, 0, 32)
  drain()
  const third = pfnOf(fd, 3)
  const state = () => ({ ...fileState(fd, 3), spte: spte(fd, 1), page: page(third) })
  r.row('E7.drop', 'before', { ret: 0, obs: state() })
  const ret = call(dropCaches)
  r.row('E7.drop', 'drop_caches=1 with 32 clean mapped pages', { ret, obs: state() })
  const again = fault(fd, 3)
  const same = Number(faulted().pfn === third)
  r.row('E7.drop', 'fault idx 3 again', { ret: again, obs: { same_pfn: same } })
  return fd
}

function e7Drop(r: Replay): void {
  let fd = e7Clean(r)
  resetMmu(1)
  punch(fd, 0, 64)
  allocate(fd, 0, 32)
  faultAll(fd, 0, 32)
  drain()
  let ret = call(dropCaches)
  const dirty = { ...fileState(fd, 0), spte: spte(fd, 1) }
  r.row('E7.dirty', 'drop_caches=1, pages fallocated (dirty)', { ret, obs: dirty })
  close(fd)

  const state = () => ({ ...fileState(fd, 0), spte: spte(fd, 1) })
  fd = create()
  resetMmu(1)
  bind(fd, 0, 63, 1)
  fault(fd, 0)
  drain()
  getPage(fd, 0)
  ret = call(dropCaches)
  const held = 'drop_caches=1, clean page with one extra reference'
  r.row('E7.held', held, { ret, obs: state() })
  putPage()
  ret = call(dropCaches)
  r.row('E7.held', 'drop_caches=1 after the put', { ret, obs: state() })
  close(fd)

  fd = create()
  resetMmu(1)
  bind(fd, 0, 63, 1)
  faultAll(fd, 0, 4)
  ret = call(dropCaches)
  // By the time of the look the pages are on the list.
  drain()
  const batch = 'drop_caches=1 with no drain first (pages still in a per-CPU batch?)'
  r.row('E7.batch', batch, { ret, obs: state() })
  close(fd)
}

export function mainMoves(r: Replay, compaction: (r: Replay) => void): void {
  e6Moves(r)
  e6Control(r)
  compaction(r)
  e6Again(r)
  e7Drop(r)
}
