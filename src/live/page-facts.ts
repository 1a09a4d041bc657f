/** Facts of this process's pages, by way of /proc: root sees which frame a page is in. */

import type { PageFacts } from '../conform/page-facts.js'
import { PAGE_SIZE as PAGE } from '../kernel/include/types.js'
import { type Libc, open } from './libc.js'
import { NR, O_RDONLY } from './numbers.js'

/** Entries of pagemap: the page is there; its frame. */
const PM_PRESENT = 1n << 63n
const PM_PFN = (1n << 55n) - 1n

/** Bits of /proc/kpageflags. */
const KPF_UPTODATE = 3n
const KPF_DIRTY = 4n
const KPF_MMAP = 11n
const KPF_ANON = 12n
const KPF_SWAPBACKED = 14n
const KPF_MLOCKED = 33n

/** The three files are open as long as the process lives. */
export class PageReader {
  readonly #libc: Libc
  readonly #entry = new BigUint64Array(1)
  readonly #at: bigint
  readonly #pagemap: number
  readonly #flags: number
  readonly #counts: number

  constructor(libc: Libc) {
    this.#libc = libc
    this.#at = libc.address(this.#entry)
    this.#pagemap = open(libc, '/proc/self/pagemap', O_RDONLY)
    this.#flags = open(libc, '/proc/kpageflags', O_RDONLY)
    this.#counts = open(libc, '/proc/kpagecount', O_RDONLY)
  }

  /** Whether this process may know its frames: to others they are all number 0. */
  get sees(): boolean {
    if (this.#pagemap < 0 || this.#flags < 0 || this.#counts < 0) return false
    return (this.#read(this.#pagemap, this.#at / PAGE) & PM_PFN) !== 0n
  }

  /** The page of an address; undefined if the page table has none. */
  facts(address: bigint): PageFacts | undefined {
    const entry = this.#read(this.#pagemap, address / PAGE)
    if (!(entry & PM_PRESENT)) return undefined
    const pfn = entry & PM_PFN
    const flags = this.#read(this.#flags, pfn)
    const has = (bit: bigint): boolean => ((flags >> bit) & 1n) === 1n
    return {
      mapcount: Number(this.#read(this.#counts, pfn)),
      uptodate: has(KPF_UPTODATE),
      dirty: has(KPF_DIRTY),
      mmap: has(KPF_MMAP),
      anon: has(KPF_ANON),
      swapbacked: has(KPF_SWAPBACKED),
      mlocked: has(KPF_MLOCKED),
    }
  }

  /** Number `index` of a file of 64-bit numbers. */
  #read(fd: number, index: bigint): bigint {
    const got = this.#libc.call(NR.pread64, fd, this.#at, 8, index * 8n)
    if (got !== 8) throw new Error(`no page facts: pread gave ${got}`)
    return this.#entry[0] as bigint
  }
}
