/** Two boots of the recorded runs about what looks like shmem and is not. */
import { STAT_NOTHING, sysFstat } from '../../src/kernel/fs/stat.js'
import { AddressSpace } from '../../src/kernel/include/fs.js'
import { shmemMapping } from '../../src/kernel/mm/shmem.js'
import { kzalloc } from '../../src/machine/alloc.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import { create } from './calls.js'
import type { Replay } from './replay.js'
import { call } from './runner.js'

/**
 * Boot `fstatbug`: fstat with the getattr of the list version. On the plain build it never returned,
 * and nothing more was recorded.
 */
export function fstatbug(r: Replay): void {
  if (!/plain build/.test(r.boot.k)) call(sysFstat, create(), STAT_NOTHING)
}

/** The question that mincore() asks of the address space of swap, which has no host. */
const askOfSwap = fn(function* filemap_get_incore_folio(): Kernel<number> {
  return Number(shmemMapping(kzalloc(AddressSpace)))
})

/** Boot `mincore`: of swapped-out memory. */
export function mincore(_r: Replay): void {
  call(askOfSwap)
}
