/** Two boots of the recorded runs about what looks like shmem and is not. */
import assert from 'node:assert/strict'
import { STAT_NOTHING, sysFstat } from '../../src/kernel/fs/stat.js'
import { swapInfo } from '../../src/kernel/include/swap.js'
import { MADV_PAGEOUT } from '../../src/kernel/include/uapi.js'
import { sysMadvise } from '../../src/kernel/mm/madvise.js'
import { sysMincore } from '../../src/kernel/mm/mincore.js'
import { sysSwapon } from '../../src/kernel/mm/swapon.js'
import { create, P } from './calls.js'
import { mapAnonymous, store } from './process.js'
import type { Replay } from './replay.js'
import { call } from './runner.js'

/**
 * Boot `fstatbug`: fstat with the getattr of the list version. On the plain build it never
 * returned, and nothing more was recorded.
 */
export function fstatbug(r: Replay): void {
  if (!/plain build/.test(r.boot.k)) call(sysFstat, create(), STAT_NOTHING)
}

/** Pages that were swapped out, and slots of the area. */
const PAGES = 64

/** Slots that one page table entry names and the swap cache does not use any more. */
function swappedOut(): number {
  const { swapMap } = swapInfo()
  let count = 0
  for (let slot = 1; slot <= PAGES; slot++) if (swapMap.get(slot) === 1) count++
  return count
}

function eachPage(f: (page: number) => number): number {
  let sum = 0
  for (let page = 0; page < PAGES; page++) sum += f(page)
  return sum
}

/** Boot `mincore`: of swapped-out memory. It crashes with the predicate of the patch. */
export function mincore(r: Replay): void {
  const x = 'E9.mincore'
  const size = BigInt(PAGES) * P
  r.row(x, 'swapon', { ret: call(sysSwapon, size + P) })
  const at = mapAnonymous(PAGES)
  eachPage((page) => store(at, page, 1))
  const ret = call(sysMadvise, BigInt(at), size, MADV_PAGEOUT)
  r.row(x, 'madvise PAGEOUT', { ret, obs: { pswpout: swappedOut() } })
  r.row(x, 'pages swapped out', { ret: 0, obs: { swapped: swappedOut() } })
  r.row(x, 'about to call mincore on them', { ret: 0 })
  const resident = eachPage((page) => call(sysMincore, BigInt(at) + BigInt(page) * P))
  if (r.isUpm) r.row(x, 'mincore', { ret: 0, obs: { resident } })
  else assert.ok(Number.isNaN(resident), 'mincore returned')
}
