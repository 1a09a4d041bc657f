/**
 * What the harness of a scenario must know to name a page: which page cache is behind a file. No
 * kernel code calls this.
 */

import { type AddressSpace, type File, filesStruct } from '../kernel/include/fs.js'
import type { Kvm } from '../kernel/include/kvm.js'
import type { Folio } from '../kernel/include/mm.js'
import { bytesToPgoff, type Gfn, PAGE_SIZE } from '../kernel/include/types.js'
import { xaLoad } from '../kernel/lib/xarray.js'
import { attrPrivate } from '../kernel/virt/kvm/memory_attributes.js'
import { type Blob, copyBytes, PAGE_BYTES } from '../machine/blob.js'
import { fn } from '../machine/fn.js'

/** The mapping whose page cache holds a file's pages. Replaced by designs whose file hides one. */
export const backingMapping = fn(function backing_mapping(file: File): AddressSpace | null {
  return file.fMapping
})

/**
 * Is the memory of a gfn private? Undefined where nothing says it. Replaced by designs whose kernel
 * says it elsewhere than in the VM's attributes.
 */
export const gfnKind = fn(function gfn_kind(kvm: Kvm, gfn: Gfn): boolean | undefined {
  return attrPrivate(kvm, gfn)
})

/** The same by descriptor; null for a descriptor that is not open. */
export function fileMapping(fd: number): AddressSpace | null {
  const table = filesStruct().fd
  const file = fd >= 0 && fd < table.length ? table.get(fd) : null
  return file === null ? null : backingMapping(file)
}

/** The bytes of a file that a read has just found there: what is in no up-to-date page is zero. */
export function readPages(fd: number, pos: bigint, into: Uint8Array): void {
  const mapping = into.length > 0 ? fileMapping(fd) : null
  into.fill(0)
  if (mapping === null) return
  let done = 0
  while (done < into.length) {
    const at = pos + BigInt(done)
    const offset = Number(at & (PAGE_SIZE - 1n))
    const here = Math.min(PAGE_BYTES - offset, into.length - done)
    const folio = xaLoad(mapping.iPages, bytesToPgoff(at)) as Folio | null
    if (folio?.uptodate) copyBytes(folio.data as Blob, offset, into.subarray(done, done + here))
    done += here
  }
}
