/** Memory of the process that made the calls of the recorded runs. */
import { sysFtruncate } from '../../src/kernel/fs/open.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import { currentMm } from '../../src/kernel/include/mm_types.js'
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
} from '../../src/kernel/include/uapi.js'
import { sysMmap } from '../../src/kernel/mm/mmap.js'
import { pteAt, pteFolio } from '../../src/kernel/mm/pgtable.js'
import { userLoadAt, userStoreAt } from '../../src/user/access.js'
import { P } from './calls.js'
import { call } from './runner.js'

/** Size a memfd to so many pages and map all of it, shared; the address. */
export function mapFile(fd: number, pages: number): number {
  const size = BigInt(pages) * P
  call(sysFtruncate, fd, size)
  return call(sysMmap, 0n, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0n)
}

/** Map pages of anonymous memory; the address. */
export function mapAnonymous(pages = 1): number {
  const size = BigInt(pages) * P
  return call(sysMmap, 0n, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0n)
}

export const load = (address: number, page: number): number =>
  call(userLoadAt, address, BigInt(page) * P)
export const store = (address: number, page: number, byte: number): number =>
  call(userStoreAt, address, BigInt(page) * P, byte)

/** The folio that the page table has for a page of a mapping. */
export function mapped(address: number, page: number): Folio {
  return pteFolio(pteAt(currentMm(), BigInt(address) + BigInt(page) * P))
}
