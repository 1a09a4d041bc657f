/**
 * E11 of the recorded runs, as far as they are about one moment: a task is stopped where the
 * recorded kernel was delayed, and others go on. Then E4.leak.
 */
import assert from 'node:assert/strict'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { sysFallocate, sysFtruncate } from '../../src/kernel/fs/open.js'
import { MIGRATE_SYNC } from '../../src/kernel/include/mm.js'
import { forEachFolio } from '../../src/kernel/mm/page_alloc.js'
import { allocate, bind, create, drain, KEEP, P, PUNCH, punch, touch } from './calls.js'
import { devBind, devDrain, devFault, faulted, resetMmu } from './device.js'
import { takeCounts } from './kernel-log.js'
import { devMigrate } from './main-moves.js'
import { fileState, page, spte } from './observe.js'
import type { Replay } from './replay.js'
import { type Call, call, Tasks } from './runner.js'

const punchOf = (fd: number, first: number, end: number): Call => [
  sysFallocate,
  fd,
  PUNCH | KEEP,
  BigInt(first) * P,
  BigInt(end - first) * P,
]

/** What comes between the start and the end callbacks of a punch. */
function punchWindow(r: Replay): void {
  const win = (name: string, ret: number, obs = {}): void => r.row('E11.win', name, { ret, obs })
  const fd = create()
  resetMmu(1)
  bind(fd, 0, 63, 1)
  let tasks = new Tasks(
    punchOf(fd, 0, 4),
    [devFault, fd, 1, 1],
    [devFault, fd, 10, 1],
    [devBind, fd, 100, 110, 2, true],
  )
  assert.ok(tasks.until(0, 'start'))
  const inside = tasks.finish(1)!
  win('fault idx 1 during punch [0,4) between start and end', inside, fileState(fd, 1))
  win('fault idx 10 in the same window', tasks.finish(2)!)
  tasks.steps(3, 1000)
  assert.ok(tasks.isStuck(3), 'bind waits')
  const punched = tasks.finish(0)!
  win('bind [100..110] in the same window (waits for the lock)', tasks.finish(3)!)
  win('punch returned', punched, { ...fileState(fd, 1), ...spte(fd, 1) })

  tasks = new Tasks(punchOf(fd, 0, 4), [devFault, fd, 1, 1])
  assert.ok(tasks.until(0, 'end'))
  const late = tasks.finish(1)!
  win('fault idx 1 after the pages are gone, before end', late, fileState(fd, 1))
  tasks.finish(0)
  const after = call(devFault, fd, 1, 1)
  // When a batch is drained is chance; here the recorded flavours differ in it.
  if (r.isUpm) drain()
  win('fault idx 1 after the punch', after, { ...fileState(fd, 1), ...spte(fd, 1) })
  call(sysClose, fd)
}

/** What comes while a fault sits between get_page and map. */
function inFlight(r: Replay): void {
  const row = (name: string, ret: number, obs = {}): void =>
    r.row('E11.inflight', name, { ret, obs })
  const fd = create()
  resetMmu(1)
  bind(fd, 0, 63, 1)
  let tasks = new Tasks([devFault, fd, 1, 1], punchOf(fd, 1, 2), [devDrain], [devDrain])
  assert.ok(tasks.until(0, 'get_page'))
  const { pfn } = faulted()
  let ret = tasks.finish(1)!
  if (r.isUpm) tasks.finish(2)
  const punched = { ...fileState(fd, 1), page: page(pfn) }
  row('punch while a fault of idx 1 sits between get_page and map', ret, punched)
  tasks.finish(3)
  ret = tasks.finish(0)!
  row('that fault', ret, { page: page(pfn), ...spte(fd, 1) })

  tasks = new Tasks([devFault, fd, 1, 1], [sysFtruncate, fd, 0n], [devDrain])
  assert.ok(tasks.until(0, 'get_page'))
  ret = tasks.finish(1)!
  row('ftruncate(fd,0) in that window', ret, fileState(fd, 1))
  tasks.finish(2)
  ret = tasks.finish(0)!
  row('that fault', ret, spte(fd, 1))

  resetMmu(1)
  punch(fd, 0, 64)
  allocate(fd, 0, 4)
  drain()
  tasks = new Tasks([devFault, fd, 1, 1], [devMigrate, faultedNext(fd), MIGRATE_SYNC])
  assert.ok(tasks.until(0, 'get_page'))
  takeCounts()
  ret = tasks.finish(1)!
  const migrated = { ...takeCounts(), ...fileState(fd, 1) }
  row('migrate_pages in that window (page dirty, in-flight reference)', ret, migrated)
  ret = tasks.finish(0)!
  row('that fault', ret, spte(fd, 1))
  call(sysClose, fd)
}

/** The frame that a fault of page 1 will find. */
function faultedNext(fd: number): number {
  return touch(fd, 1).pfn
}

/** Files closed with live bindings leave no page in use. */
function leak(r: Replay): void {
  const inUse = (): number => {
    let count = 0
    forEachFolio((folio) => {
      if (!folio.buddy && !folio.hwpoison) count++
    })
    return count
  }
  drain()
  const before = inUse()
  let ret = 0
  for (let i = 0; i < 50; i++) {
    const fd = create()
    ret = bind(fd, 0, 1000, 4) || allocate(fd, 0, 20) || call(sysClose, fd) || ret
  }
  drain()
  assert.equal(inUse(), before)
  r.row('E4.leak', '50 x (create, bind, 1000 pages, close without unbind)', { ret })
}

export function mainWindows(r: Replay): void {
  punchWindow(r)
  inFlight(r)
  leak(r)
}
