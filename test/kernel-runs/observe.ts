/** What the recorded runs observed between calls, read from the model in the same words. */
import { type Restrictedmem, upmBackingMapping } from '../../src/designs/upm-mm.js'
import { vfsFstat } from '../../src/kernel/fs/stat.js'
import { type AddressSpace, type File, filesStruct, Kstat } from '../../src/kernel/include/fs.js'
import { type Folio, mmState } from '../../src/kernel/include/mm.js'
import type { RestrictedmemNotifier } from '../../src/kernel/include/restrictedmem.js'
import type { Pfn } from '../../src/kernel/include/types.js'
import { xaFindAfterIndex, xaFindIndex, xaLoad } from '../../src/kernel/lib/xarray.js'
import { pfnToFolio } from '../../src/kernel/mm/page_alloc.js'
import { shmemMapping } from '../../src/kernel/mm/shmem.js'
import { kfree, kzalloc } from '../../src/machine/alloc.js'
import { type Blob, byteAt, copyBytes, isResidue, PAGE_BYTES } from '../../src/machine/blob.js'
import { setCurrent, taskNumber } from '../../src/machine/task.js'
import { idOf, mmu } from './device.js'
import { call } from './runner.js'

export type Observation = Readonly<Record<string, unknown>>

/** Stands for a value that the model leaves open; see `page`. */
export const ANY = Symbol('any')

export function fileOf(fd: number): File {
  const file = filesStruct().fd.get(fd)
  if (file === null) throw new Error(`descriptor ${fd} is not open`)
  return file
}

/** The mapping that holds a file's pages. */
export function inner(fd: number): AddressSpace {
  setCurrent(taskNumber(0))
  const mapping = upmBackingMapping(fileOf(fd)) as AddressSpace
  setCurrent(undefined)
  return mapping
}

/** The folio cached at a page of a file, or null. */
export function cached(fd: number, index: number): Folio | null {
  return xaLoad(inner(fd).iPages, index) as Folio | null
}

/** As JSON has it: digits in a string beyond 2^53. */
function integer(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value)
}

/** fstat(2). */
export function stat(fd: number): Observation {
  setCurrent(taskNumber(0))
  const kstat = kzalloc(Kstat)
  setCurrent(undefined)
  call(vfsFstat, fd, kstat)
  const { size, blocks, mode, nlink, uid } = kstat
  kfree(kstat)
  const owner = uid === 0 ? {} : { st_uid: uid }
  return {
    st_size: integer(size),
    st_blocks: blocks,
    st_mode: mode.toString(8),
    st_nlink: nlink,
    ...owner,
  }
}

/** Is there a page at an index, with how many references, and the file's size and blocks. */
export function fileState(fd: number, index: number): Observation {
  const mapping = inner(fd)
  const folio = cached(fd, index)
  const host = mapping.host!
  return {
    cached: Number(folio !== null),
    cache_ref: folio?.refcount ?? 0,
    nrpages: mapping.nrpages,
    inner_size: integer(host.iSize),
    inner_blocks: host.iBlocks,
  }
}

/** The two inodes of a restricted file. */
export function inodes(fd: number): Observation {
  const wrapper = fileOf(fd).fInode!
  const mapping = inner(fd)
  setCurrent(taskNumber(0))
  const isShmem = [mapping, wrapper.iMapping!].map((m) => Number(shmemMapping(m)))
  setCurrent(undefined)
  return {
    inner_on_s_inodes: Number(mapping.host!.iSbListed),
    wrapper_on_s_inodes: Number(wrapper.iSbListed),
    wrapper_i_count: wrapper.iCount,
    inner_unevictable: Number(mapping.unevictable),
    inner_gfp_movable: Number(mapping.gfpMovable),
    shmem_mapping_inner: isShmem[0],
    inner_has_writepage: Number(mapping.aOps!.writepage !== undefined),
    shmem_mapping_wrapper: isShmem[1],
  }
}

export function modes(fd: number): Observation {
  const wrapper = fileOf(fd).fInode!
  return {
    inner_mode: inner(fd).host!.iMode.toString(8),
    wrapper_mode: wrapper.iMode.toString(8),
    wrapper_size: Number(wrapper.iSize),
  }
}

/** Page flags in the order in which the recording prints them. */
function flags(f: Folio): string {
  const names = {
    locked: f.lockOwner !== 0,
    referenced: f.referenced,
    uptodate: f.uptodate,
    dirty: f.dirty,
    lru: f.lru,
    active: f.active,
    unevictable: f.unevictable,
    swapbacked: f.swapbacked,
    hwpoison: f.hwpoison,
    folio_uptodate: f.uptodate,
  }
  return Object.entries(names)
    .filter(([, set]) => set)
    .map(([name]) => name)
    .join('|')
}

const FILLS: Readonly<Record<number, string>> = {
  0: 'zero',
  119: '77 guest data',
  92: '5c guest data',
}

/** The first eight bytes, and whether all bytes are equal. Of what nobody wrote: anything. */
function content(f: Folio): Observation {
  const blob = f.data as Blob
  if (isResidue(blob, 0)) return { word0: ANY, uniform: ANY }
  const bytes = new Uint8Array(PAGE_BYTES)
  copyBytes(blob, 0, bytes)
  const first = byteAt(blob, 0)
  const uniform = bytes.every((b) => b === first)
  if (uniform) return { word0: FILLS[first], uniform: 1 }
  const word = new DataView(bytes.buffer).getBigUint64(0, true)
  return { word0: `other: ${word.toString(16)}`, uniform: 0 }
}

/**
 * A page frame. `in_cache` says that page->mapping is set, as it is of anonymous pages too. A free
 * frame has no kind of page block here: it gets one when it is allocated.
 */
export function page(pfn: Pfn): Observation {
  const f = pfnToFolio(pfn) as Folio
  const inCache = f.mapping !== null || f.anon
  const free = f.refcount === 0
  return {
    ref: f.refcount,
    flags: flags(f),
    in_cache: Number(inCache),
    index: inCache ? f.index : -1,
    ...(free ? { word0: 'not read (free page)', uniform: -1 } : content(f)),
    folio_order: 0,
    pageblock: free ? ANY : Number(f.movableBlock),
  }
}

/** Is the secondary MMU of a notifier in line with the page cache? */
export function spte(fd: number, id: number): Observation {
  const m = mmu(id)
  const count = { no_page: 0, other_page: 0, freed: 0, poisoned: 0 }
  let ok = 0
  let firstStale = -1
  for (const [index, pfn] of [...m.spte].sort(([a], [b]) => a - b)) {
    const folio = pfnToFolio(pfn) as Folio
    const now = cached(fd, index)
    if (folio.hwpoison) count.poisoned++
    if (now === folio) {
      ok++
      continue
    }
    if (firstStale < 0) firstStale = index
    if (now === null) count.no_page++
    else count.other_page++
    if (folio.buddy) count.freed++
  }
  return {
    spte_ok: ok,
    ...unless(0, 'spte_no_page', count.no_page),
    ...unless(0, 'spte_other_page', count.other_page),
    ...unless(0, 'stale_freed', count.freed),
    ...unless(-1, 'first_stale', firstStale),
    ...unless(0, 'spte_poisoned', count.poisoned),
    ...unless(0, 'starts', m.starts),
    ...unless(0, 'ends', m.ends),
    ...unless(0, 'errors', m.errors),
  }
}

/** The recording leaves out what is not there. */
function unless(nothing: number, key: string, value: number): Observation {
  return value === nothing ? {} : { [key]: value }
}

function bindings(fd: number): Restrictedmem['bindings'] {
  return (fileOf(fd).fMapping!.privateData as Restrictedmem).bindings
}

/** Who owns each index from `first` to `last`; -1 for nobody. */
export function owner(fd: number, first: number, last: number): Observation {
  const array = bindings(fd)
  return {
    owner: Array.from({ length: last - first + 1 }, (_, i) => {
      const n = xaLoad(array, first + i) as RestrictedmemNotifier | null
      return n === null ? -1 : idOf(n)
    }),
  }
}

/** The entries of the bindings: how many, and the first index and the owner of each. */
export function entries(fd: number): Observation {
  const array = bindings(fd)
  const found: [number, number][] = []
  let i = xaFindIndex(array, 0, 2 ** 52)
  while (i >= 0) {
    found.push([i, idOf(xaLoad(array, i) as RestrictedmemNotifier)])
    i = xaFindAfterIndex(array, i, 2 ** 52)
  }
  return { entries: found.length, first: found }
}

/** /proc/meminfo's HardwareCorrupted. */
export function corrupted(): Observation {
  return { hardware_corrupted_kB: mmState().numPoisoned * 4 }
}
