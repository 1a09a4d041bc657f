/**
 * Experiment 6: what hangs when a page is punched, or allocated, while its failure is handled, and
 * what hangs along with it. The order of the steps is chosen so that it happens; that it can happen,
 * and how little it takes, the search finds.
 */
import assert from 'node:assert/strict'
import { guestRead } from '../../src/kernel/arch/x86/kvm/guest.js'
import { sysFallocate } from '../../src/kernel/fs/open.js'
import { STAT_NOTHING, sysFstat } from '../../src/kernel/fs/stat.js'
import { MF_SW_SIMULATED } from '../../src/kernel/include/mm.js'
import { memoryFailure } from '../../src/kernel/mm/memory_failure.js'
import { sysKvmSetUserMemoryRegion2 } from '../../src/kernel/virt/kvm/memory_region.js'
import { backtrace } from '../../src/machine/frames.js'
import { userLoadAt } from '../../src/user/access.js'
import { memoryFailureOp } from '../../src/user/pages.js'
import { GPA, type Host, KEEP, P, PUNCH } from './gmem-host.js'
import type { GmemRow, Rows } from './gmem-recording.js'
import { mapped } from './process.js'
import { type Call, Tasks } from './runner.js'

const PAGES = 16

/** Functions that are called otherwise here, or inlined there. */
const NAMES: Readonly<Record<string, string>> = {
  folio_wait_bit_common: 'folio_lock',
  __filemap_get_folio: 'filemap_lock_folio',
  truncate_error_folio: 'truncate_error_page',
}

const stackOf = (n: number): string[] => backtrace(n).map(({ cName }) => cName)

/** The recorded stack, as far as it is the kernel's own, must be part of the model's. */
function sameStack(row: GmemRow, n: number): void {
  const recorded = (row.stack as readonly string[]).map((name) => NAMES[name] ?? name)
  const wanted = recorded.filter((name) => !/syscall|SYSCALL|madvise|x64/.test(name))
  const have = stackOf(n)
  assert.deepEqual(
    have.filter((name) => wanted.includes(name)),
    wanted,
    row.step,
  )
}

interface Scene {
  readonly failure: Call
  readonly punch: Call
  readonly allocate: Call
  /** The user's map of the file, and a page of anonymous memory. */
  readonly map: bigint
  readonly anonymous: bigint
}

function falloc(h: Host, mode: number, page: number): Call {
  return [sysFallocate, h.fd, mode, BigInt(page) * P, P]
}

function scene(h: Host, punched: number): Scene {
  h.newVm(0)
  h.newFile(PAGES, 3)
  h.region()
  const map = h.mmap(h.fd, BigInt(PAGES) * P)
  for (let i = 0n; i < PAGES; i++) h.store(map + i * P, 1)
  return {
    failure: [memoryFailureOp, h.fd, 0],
    punch: falloc(h, PUNCH, punched),
    allocate: falloc(h, KEEP, 0),
    map,
    anonymous: h.newUserMemory(1, () => 1),
  }
}

/**
 * Task 0 fails the page, 1 punches, 2 (if it is there) allocates; none of them comes to its end.
 */
function hang(tasks: Tasks, allocates: boolean): void {
  tasks.steps(0, 10_000, () => stackOf(0).includes('memory_failure_locked'))
  if (allocates) tasks.finish(2)
  tasks.finish(1)
  tasks.finish(0)
  for (const n of allocates ? [0, 1, 2] : [0, 1]) assert.ok(tasks.isStuck(n), `task ${n}`)
}

/** The recorded probes of the hung kernel; each is a task here. */
function probes(h: Host, s: Scene): Readonly<Record<string, Call>> {
  const region = [h.vm, 1, 0, 0n, 0n, 0n, -1, 0n]
  return {
    'probe: fallocate an unrelated page of the file': falloc(h, KEEP, 5),
    'probe: punch an unrelated page of the file': falloc(h, PUNCH, 5),
    'probe: vCPU 0 reads an unrelated gpa of the slot': [guestRead, h.vm, GPA + 3n * P],
    'probe: vCPU 1 reads the stuck page': [guestRead, h.vm, GPA],
    'probe: host reads an unrelated mapped page': [userLoadAt, Number(s.map), 2n * P],
    'probe: memory failure of an anonymous page': [
      memoryFailure,
      mapped(Number(s.anonymous), 0).pfn,
      MF_SW_SIMULATED,
    ],
    'probe: fstat of the file': [sysFstat, h.fd, STAT_NOTHING],
    'probe: delete the slot': [sysKvmSetUserMemoryRegion2, ...region],
  }
}

/** One probe on a kernel of its own that has hung: does it come to its end? */
function probe(newHost: () => Host, row: GmemRow, punched: number, allocates: boolean): void {
  const h = newHost()
  const s = scene(h, punched)
  const call = probes(h, s)[row.step]
  if (call === undefined) throw new Error(`there is no ${row.step}`)
  const tasks = new Tasks(s.failure, s.punch, ...(allocates ? [s.allocate] : []), call)
  hang(tasks, allocates)
  const n = allocates ? 3 : 2
  // A vCPU behind the punch is not blocked: its fault is tried again and again, since the
  // invalidation never ends.
  const ended = tasks.finish(n) !== undefined
  assert.equal(!ended, row.blocked, row.step)
  if (row.step.endsWith('delete the slot')) {
    assert.ok(stackOf(n).includes('kvm_gmem_unbind'), 'with slots_lock held')
  }
}

/** Replay the boot of one form of the deadlock. */
export function deadlock(newHost: () => Host, rows: Rows, allocates: boolean): void {
  const punched = allocates ? 8 : 0
  rows.next('start')
  rows.next('HANG: no round finished for 8 s')
  const h = newHost()
  const s = scene(h, punched)
  const tasks = new Tasks(s.failure, s.punch, ...(allocates ? [s.allocate] : []))
  hang(tasks, allocates)
  sameStack(rows.next('thread memory failure'), 0)
  sameStack(rows.next('thread punch'), 1)
  const third = rows.next('thread allocate')
  if (allocates) sameStack(third, 2)
  while (rows.step?.startsWith('probe')) {
    probe(newHost, rows.next(rows.step), punched, allocates)
  }
  while (rows.step !== undefined) rows.list(rows.step, 'no detector of hung tasks, no signals')
}
