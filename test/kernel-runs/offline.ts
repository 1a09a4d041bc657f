/**
 * Memory offline in the recorded runs. There a block has 128 MB; here it is made of the pages of
 * one file, so of its counts only none or some is compared.
 */
import assert from 'node:assert/strict'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import type { Pfn } from '../../src/kernel/include/types.js'
import { forEachFolio, pfnToFolio } from '../../src/kernel/mm/page_alloc.js'
import { folioIsolateLru } from '../../src/kernel/mm/swap.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import { offlineMemory } from '../../src/user/pages.js'
import { bind, create, drain, faultAll, pfnOf } from './calls.js'
import { resetMmu } from './device.js'
import { takeCounts } from './kernel-log.js'
import type { Observation } from './observe.js'
import type { Replay } from './replay.js'
import { call, Tasks } from './runner.js'

const PAGES = 6
const SIGNS = [
  'pages_before',
  'pages_after',
  'override_calls',
  'pgmigrate_fail',
  'pgmigrate_success',
]
/** Enough for a few rounds over the block. */
const ROUNDS_OF_STEPS = 20_000

/** Take a page off its list: nobody can migrate it now, like a page of the kernel itself. */
const devIsolate = fn(function* dev_isolate(pfn: Pfn): Kernel<number> {
  return (yield* folioIsolateLru(pfnToFolio(pfn)!)) ? 0 : -1
})

function block(): number {
  const fd = create()
  resetMmu(1)
  bind(fd, 0, PAGES - 1, 1)
  faultAll(fd, 0, PAGES)
  drain()
  takeCounts()
  return fd
}

/** Restricted pages in these frames. */
function pagesIn(frames: readonly Pfn[]): number {
  let count = 0
  forEachFolio((folio) => {
    if (folio.mapping !== null && frames.includes(folio.pfn)) count++
  })
  return count
}

/** Offline the block of a new file; `inUse`: one page of it is the kernel's. */
function offline(r: Replay, n: number, inUse: boolean): void {
  const fd = block()
  const frames = Array.from({ length: PAGES }, (_, i) => pfnOf(fd, i))
  if (inUse) call(devIsolate, frames[0])
  const before = pagesIn(frames)
  const tasks = new Tasks([offlineMemory, fd])
  tasks.steps(0, ROUNDS_OF_STEPS)
  const some = takeCounts()
  const ret = tasks.ended(0)
  if (ret === undefined) goesOn(tasks, some)
  const obs = {
    killed_by_signal: 0,
    state: ret === 0 ? 'offline' : 'online',
    pages_before: before,
    pages_after: pagesIn(frames),
    ...some,
  }
  const name = `offline memory block ${n} (alarm after 8 s)`
  r.row('E6.offline', name, { ret: ret ?? Number.NaN, obs, signs: SIGNS })
  call(sysClose, fd)
}

/** It has not returned: it asks again and again, and nothing has come of it. */
function goesOn(tasks: Tasks, before: Observation): void {
  assert.ok(!tasks.isStuck(0))
  tasks.steps(0, ROUNDS_OF_STEPS)
  const more = takeCounts()
  assert.ok((before.override_calls as number) > PAGES && (more.override_calls as number) > PAGES)
  assert.equal(more.pgmigrate_success, 0)
}

export function e6Offline(r: Replay): void {
  offline(r, 3, true)
  offline(r, 2, false)
  if (r.isNext('offline memory block 1 (alarm after 8 s)')) offline(r, 1, true)
}
