/**
 * Address kinds. Pages, guest frames and host frames are numbers that do not mix; bytes are
 * bigint. Two words in the arena each.
 */

/** Offset into a file, in pages: 0 to 2^52 - 1. */
export type Pgoff = number & { readonly __wide: 'pgoff' }
/** Guest frame number. */
export type Gfn = number & { readonly __wide: 'gfn' }
/** Host frame number. */
export type Pfn = number & { readonly __wide: 'pfn' }

export const PAGE_SHIFT = 12n
export const PAGE_SIZE = 4096n

/** The last page offset there is: ULONG_MAX >> PAGE_SHIFT. */
export const PGOFF_MAX = 0xfffffffffffff as Pgoff
/** MAX_LFS_FILESIZE: 2^63 - 1 bytes. */
export const MAX_LFS_FILESIZE = 0x7fffffffffffffffn

/** The page that a byte offset (not negative) lies in. */
export function bytesToPgoff(bytes: bigint): Pgoff {
  return Number(bytes >> PAGE_SHIFT) as Pgoff
}

/** The first page at or behind a byte offset: DIV_ROUND_UP. */
export function bytesToPgoffUp(bytes: bigint): Pgoff {
  return Number((bytes + PAGE_SIZE - 1n) >> PAGE_SHIFT) as Pgoff
}

/** First byte of a page of a file. */
export function pgoffToBytes(index: Pgoff): bigint {
  return BigInt(index) << PAGE_SHIFT
}

/** PAGE_ALIGN(). */
export function roundUpToPage(bytes: bigint): bigint {
  return (bytes + PAGE_SIZE - 1n) & ~(PAGE_SIZE - 1n)
}

export function isPageAligned(bytes: bigint): boolean {
  return (bytes & (PAGE_SIZE - 1n)) === 0n
}

export function addPages(index: Pgoff, pages: number): Pgoff {
  return (index + pages) as Pgoff
}

/** The same 64 bits without a sign. */
export function u64(word: bigint): bigint {
  return BigInt.asUintN(64, word)
}

/** End of user space on x86-64 with four levels of page tables. */
export const TASK_SIZE_MAX = 2n ** 47n - 4096n
