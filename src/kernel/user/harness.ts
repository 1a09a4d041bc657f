/**
 * What the harness of a scenario must know to name a page: which page cache is behind a file. No
 * kernel code calls this.
 */
import { fn } from '../../machine/fn.js'
import { type AddressSpace, type File, filesStruct } from '../include/fs.js'

/** The mapping whose page cache holds a file's pages. Replaced by designs whose file hides one. */
export const backingMapping = fn(function backing_mapping(file: File): AddressSpace | null {
  return file.fMapping
})

/** The same by descriptor; null for a descriptor that is not open. */
export function fileMapping(fd: number): AddressSpace | null {
  const table = filesStruct().fd
  const file = fd >= 0 && fd < table.length ? table.get(fd) : null
  return file === null ? null : backingMapping(file)
}
