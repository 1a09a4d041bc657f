/** What a search may take of this machine if nobody says. */
import { totalmem } from 'node:os'

/** The rest is for what else runs here. */
const SHARE = 0.75

/** Most bytes for each of so many cells that are checked at the same time. */
export function usualBytes(cells: number): number {
  // Where nothing limits the process, this is 0 or more than there is.
  const limit = process.constrainedMemory() || Number.POSITIVE_INFINITY
  return Math.floor((Math.min(totalmem(), limit) * SHARE) / cells)
}
