/** Files that are whole or not there: they are written beside their place, and then put there. */
import { closeSync, openSync, renameSync, rmSync } from 'node:fs'

/** Where a file is written that is not whole yet: by each process elsewhere. */
const beside = (path: string): string => `${path}.${process.pid}.new`

/**
 * Write a file anew. Who reads or is killed meanwhile leaves the old one; what can't be written
 * leaves nothing behind. `fresh` is for one who looks after what was left there by a killed process.
 */
export function writeWhole(
  path: string,
  write: (file: number) => void,
  fresh = beside(path),
): void {
  try {
    const file = openSync(fresh, 'w')
    try {
      write(file)
    } finally {
      closeSync(file)
    }
    renameSync(fresh, path)
  } catch (error) {
    rmSync(fresh, { force: true })
    throw error
  }
}
