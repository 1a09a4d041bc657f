/** madvise(2) of 6.18: to populate a range is not advice about its VMAs one by one. */
import { fn, type Kernel, original } from '../../../machine/fn.js'
import type { MmStruct } from '../../include/mm_types.js'
import { MADV_POPULATE_READ, MADV_POPULATE_WRITE } from '../../include/uapi.js'
import { madviseWalkVmas } from '../../mm/madvise.js'
import { madvisePopulate } from '../../mm/populate.js'

const walk = original(madviseWalkVmas)

/**
 * A hole ends a population: what lies behind it is not faulted in, as it is in 6.2.
 *
 * Models: 6.18 mm/madvise.c madvise_do_behavior; read in 6.17 and 7.0, which agree.
 */
export const madviseDoBehavior = fn(function* madvise_do_behavior(
  mm: MmStruct,
  start: bigint,
  end: bigint,
  advice: number,
): Kernel<number> {
  if (advice === MADV_POPULATE_READ || advice === MADV_POPULATE_WRITE) {
    return yield* madvisePopulate(mm, start, end, advice === MADV_POPULATE_WRITE)
  }
  return yield* walk(mm, start, end, advice)
})
