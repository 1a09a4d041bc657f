/** The calls of the recorded runs in short form. Pages are page numbers, ends exclusive. */
import { sysFallocate } from '../../src/kernel/fs/open.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import type { Pfn } from '../../src/kernel/include/types.js'
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../src/kernel/include/uapi.js'
import { pfnToFolio } from '../../src/kernel/mm/page_alloc.js'
import { sysMemfdRestricted } from '../../src/kernel/mm/restrictedmem.js'
import { type Blob, withBytes } from '../../src/machine/blob.js'
import {
  devBind,
  devDrain,
  devFault,
  devGetPage,
  devPutPage,
  devUnbind,
  heldPage,
} from './device.js'
import { cached } from './observe.js'
import { call } from './runner.js'

export const KEEP = FALLOC_FL_KEEP_SIZE
export const PUNCH = FALLOC_FL_PUNCH_HOLE
/** Bytes of a page. */
export const P = 4096n

/** A new restricted file. */
export const create = (): number => call(sysMemfdRestricted, 0)

/** Bind [first, last] to a notifier, as the XArray takes it. */
export const bind = (fd: number, first: number, last: number, id: number): number =>
  call(devBind, fd, first, last, id, true)
export const unbind = (fd: number, first: number, last: number): number =>
  call(devUnbind, fd, first, last)

/** get_page; the page stays held. */
export const getPage = (fd: number, index: number): number => call(devGetPage, fd, index)
/** Put the page that was got first. */
export const putPage = (): number => call(devPutPage)
/** get_page and put. */
export function touch(fd: number, index: number): { ret: number; pfn: Pfn } {
  const ret = getPage(fd, index)
  const { pfn } = heldPage()
  putPage()
  return { ret, pfn }
}

export const fault = (fd: number, index: number, id = 1): number => call(devFault, fd, index, id)
export const drain = (): number => call(devDrain)

/** Fault pages [first, end) in. */
export function faultAll(fd: number, first: number, end: number, id = 1): void {
  for (let i = first; i < end; i++) fault(fd, i, id)
}

export function punch(fd: number, first: number, end: number): number {
  return call(sysFallocate, fd, PUNCH | KEEP, BigInt(first) * P, BigInt(end - first) * P)
}

/** fallocate, mode 0. */
export function allocate(fd: number, first: number, end: number): number {
  return call(sysFallocate, fd, 0, BigInt(first) * P, BigInt(end - first) * P)
}

/** The frame of a page that is cached. */
export function pfnOf(fd: number, index: number): Pfn {
  const folio = cached(fd, index)
  if (folio === null) throw new Error(`page ${index} is not cached`)
  return folio.pfn
}

/** A guest writes all bytes of a frame. */
export function fill(pfn: Pfn, byte: number): void {
  const folio = pfnToFolio(pfn) as Folio
  folio.data = withBytes(folio.data as Blob, 0, 4096, byte)
}
