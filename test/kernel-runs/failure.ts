/**
 * E8 of the recorded runs: memory failure of restricted pages with the walk repaired (boot `mfc`)
 * and with the walk that TDX's series had (`mftdx`); the crashes without either; other pages.
 */
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { sysPread } from '../../src/kernel/fs/read_write.js'
import { MF_SW_SIMULATED } from '../../src/kernel/include/mm.js'
import type { Pfn } from '../../src/kernel/include/types.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { memoryFailure } from '../../src/kernel/mm/memory_failure.js'
import { unpoison } from '../../src/kernel/mm/soft_offline.js'
import {
  allocate,
  bind,
  create,
  drain,
  fault,
  faultAll,
  getPage,
  P,
  pfnOf,
  punch,
  putPage,
  unbind,
} from './calls.js'
import { FREE_FRAME, faulted, heldPage, resetMmu, watch } from './device.js'
import { corrupted, fileState, page, spte } from './observe.js'
import { mapAnonymous, mapFile, mapped, store } from './process.js'
import type { Replay } from './replay.js'
import { call } from './runner.js'

const close = (fd: number): number => call(sysClose, fd)

/**
 * A failure by debugfs (corrupt-pfn), by sysfs (hard_offline_page) or by a direct call: of 6.2 all
 * three are an injected one.
 */
export const poison = (pfn: Pfn): number => call(memoryFailure, pfn, MF_SW_SIMULATED)

interface Kind {
  readonly dirty: boolean
  readonly held?: boolean
}

/** A file with one guest page, mapped, on its list. */
function guestPage({ dirty, held = false }: Kind): { fd: number; pfn: Pfn } {
  const fd = create()
  resetMmu(1)
  bind(fd, 0, 63, 1)
  fault(fd, 1)
  if (dirty) allocate(fd, 0, 8)
  drain()
  if (held) getPage(fd, 1)
  return { fd, pfn: pfnOf(fd, 1) }
}

/** A page of a guest fails: what its callbacks hear, and what can be done with it afterwards. */
function failOnePage(r: Replay, x: string, what: string, kind: Kind): void {
  const { fd, pfn: old } = guestPage(kind)
  watch(old)
  const row = (name: string, ret: number, obs = {}): void => r.row(x, name, { ret, obs })
  row('about to inject', 0, { what, before: page(old) })
  let ret = poison(old)
  const state = { old: page(old), ...fileState(fd, 1), ...corrupted(), spte: spte(fd, 1) }
  row(what, ret, state)

  ret = getPage(fd, 1)
  const same = (pfn: Pfn) => ({ same_pfn: Number(pfn === old) })
  const got = heldPage().pfn
  row('get_page of the poisoned index', ret, { ...same(got), ...page(got) })
  putPage()
  ret = fault(fd, 1)
  row('fault of the poisoned index', ret, same(faulted().pfn))
  row('memory_failure on it again', poison(old))
  ret = allocate(fd, 0, 8)
  row('fallocate over it', ret, fileState(fd, 1))
  if (kind.held) putPage()
  ret = call(unpoison, old)
  row('unpoison while cached', ret, { old: page(old) })
  ret = punch(fd, 1, 2)
  row('punch it', ret, { ...fileState(fd, 1), old: page(old) })
  ret = getPage(fd, 1)
  const fresh = heldPage().pfn
  row('get_page after the punch', ret, { ...same(fresh), ...page(fresh) })
  putPage()
  ret = call(unpoison, old)
  row('unpoison after the punch', ret, { old: page(old) })
  close(fd)
}

/** Two neighbours of one file: who hears of a failure at the border. */
function border(r: Replay): void {
  const fd = create()
  resetMmu(1)
  resetMmu(2)
  bind(fd, 0, 7, 1)
  bind(fd, 8, 15, 2)
  faultAll(fd, 0, 8, 1)
  faultAll(fd, 8, 16, 2)
  drain()
  const [seven, eight] = [pfnOf(fd, 7), pfnOf(fd, 8)]
  watch(seven)
  const both = () => ({ A: spte(fd, 1), B: spte(fd, 2) })
  let ret = poison(seven)
  r.row('E8.d11', 'poison page 7, last page of A=[0..7]; B=[8..15]', { ret, obs: both() })
  ret = poison(eight)
  r.row('E8.d11', 'poison page 8, first page of B', { ret, obs: both() })
  r.row('E8.d11', 'punch all', { ret: punch(fd, 0, 16) })
  call(unpoison, seven)
  call(unpoison, eight)
  close(fd)
  // The watched frame is free from here on; in the model somebody else would get it at once.
  watch(FREE_FRAME)
}

/** A binding that is stored as three entries. */
function entriesOfOne(r: Replay): void {
  const fd = create()
  bind(fd, 0x10, 0x100f, 3)
  faultAll(fd, 0x3f, 0x41, 3)
  drain()
  const inside = 'poison idx 0x40 in a binding stored as 3 entries [10..100f]'
  r.row('E8.multi', inside, { ret: poison(pfnOf(fd, 0x40)) })
  const edge = 'poison idx 0x3f (entry boundary: iterator also sees 0x40)'
  r.row('E8.multi', edge, { ret: poison(pfnOf(fd, 0x3f)) })
  close(fd)
}

/** A page of a plain memfd, written through a mapping, which stays. */
function plainPage(): { fd: number; pfn: Pfn } {
  const fd = call(sysMemfdCreate, 0)
  store(mapFile(fd, 2), 1, 1)
  drain()
  return { fd, pfn: pfnOf(fd, 1) }
}

/** Pages of which nobody is to be told, and one that is still in a batch. */
function others(r: Replay): void {
  let fd = create()
  bind(fd, 0, 7, 1)
  fault(fd, 1)
  unbind(fd, 0, 7)
  drain()
  let pfn = pfnOf(fd, 1)
  let ret = poison(pfn)
  r.row('E8.unbound', 'poison a page of a file with no binding', { ret, obs: { old: page(pfn) } })
  close(fd)

  const plain = plainPage()
  ret = poison(plain.pfn)
  const obs = { old: page(plain.pfn) }
  r.row('E8.tmpfs', 'poison a plain memfd page', { ret, obs })
  close(plain.fd)

  fd = create()
  resetMmu(1)
  bind(fd, 0, 7, 1)
  fault(fd, 1)
  pfn = pfnOf(fd, 1)
  ret = poison(pfn)
  r.row('E8.batch', 'poison right after the fault, no drain', { ret, obs: { old: page(pfn) } })
  close(fd)
}

/** Boot `mfc`: the walk is repaired. */
export function mfc(r: Replay): void {
  const ways = ['corrupt-pfn', 'hard_offline_page', 'memory_failure(SW_SIMULATED)']
  for (const dirty of [false, true]) {
    for (const way of ways) {
      const what = `${way} on a ${dirty ? 'dirty' : 'clean'} restricted page`
      failOnePage(r, 'E8.repaired', what, { dirty })
    }
  }
  const what = 'corrupt-pfn on a clean restricted page with an extra reference'
  failOnePage(r, 'E8.repaired_held', what, { dirty: false, held: true })
  border(r)
  entriesOfOne(r)
  others(r)
}

/** Boot `mftdx`: the walk skips every inode in use. */
export function mftdx(r: Replay): void {
  const x = 'E8.tdxwalk'
  failOnePage(r, x, 'corrupt-pfn on a clean restricted page', { dirty: false })
  failOnePage(r, x, 'hard_offline_page on a dirty restricted page', { dirty: true })
}

/** Boots `mfr` and `mfrd`: one injection, which the kernel does not survive. */
export function crash(r: Replay): void {
  const dirty = r.boot.g === 'mfrd'
  const { pfn } = guestPage({ dirty })
  const how = dirty ? 'hard_offline_page on a dirty' : 'corrupt-pfn on a clean'
  const x = dirty ? 'E8.restricted_dirty' : 'E8.restricted'
  const obs = { what: `${how} restricted page`, before: page(pfn) }
  r.row(x, 'about to inject', { ret: 0, obs })
  poison(pfn)
}

/** Boot `mft`: a page of a plain memfd. With the hook in memory-failure.c it is a crash too. */
export function mft(r: Replay): void {
  const row = (name: string, ret: number, obs = {}): void => r.row('E8.tmpfs', name, { ret, obs })
  let { fd, pfn } = plainPage()
  const about = 'about to poison a plain memfd page; no restricted file was ever created'
  row(about, 0, { before: page(pfn) })
  let ret = poison(pfn)
  if (r.findings.has('null-dereference')) return
  row('corrupt-pfn on it', ret, { old: page(pfn) })
  row('pread of it', call(sysPread, fd, P, 1))

  const restricted = guestPage({ dirty: false }).fd
  const second = plainPage()
  fd = second.fd
  pfn = second.pfn
  ret = poison(pfn)
  row('again, while a restricted file exists', ret, { old: page(pfn), spte: spte(restricted, 1) })
}

/** Boot `mfa`: anonymous memory. */
export function mfa(r: Replay): void {
  const address = mapAnonymous()
  store(address, 0, 1)
  drain()
  const { pfn } = mapped(address, 0)
  const ret = poison(pfn)
  r.row('E8.anon', 'corrupt-pfn on an anonymous page', { ret, obs: { old: page(pfn) } })
}
