/** E5 of the recorded runs: what get_page hands out, and what becomes of it. */
import assert from 'node:assert/strict'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { sysMunmap } from '../../src/kernel/mm/mmap.js'
import { pfnToFolio } from '../../src/kernel/mm/page_alloc.js'
import { type Blob, isResidue, ZERO_PAGE } from '../../src/machine/blob.js'
import {
  allocate,
  bind,
  create,
  drain,
  fill,
  getPage,
  P,
  pfnOf,
  punch,
  putPage,
  touch,
  unbind,
} from './calls.js'
import { heldPage, resetMmu } from './device.js'
import { fileState, page, stat } from './observe.js'
import { load, mapFile, mapped } from './process.js'
import type { Replay } from './replay.js'
import { call } from './runner.js'

/** One page: references, flags, and what fallocate makes of it. */
function firstPages(r: Replay, fd: number): void {
  const get = (name: string, ret: number, obs = {}): void => r.row('E5.get', name, { ret, obs })
  get('get_page with no binding', getPage(fd, 0))
  bind(fd, 0, 1023, 1)
  let ret = getPage(fd, 0)
  const { pfn } = heldPage()
  get('get_page idx 0, hole, size 0', ret, { order: 0, ...page(pfn) })
  putPage()
  get('same page after the put', 0, page(pfn))
  drain()
  get('same page after lru drain', 0, page(pfn))
  ret = getPage(fd, 0)
  const same = Number(heldPage().pfn === pfn)
  get('get_page idx 0 again', ret, { same_pfn: same, ...page(pfn) })
  putPage()

  fill(pfn, 0x77)
  ret = allocate(fd, 0, 4)
  const refal = 'page filled 0x77 by the guest, then fallocate(0,0,4p)'
  r.row('E5.refal', refal, { ret, obs: page(pfn) })
}

function fallocated(r: Replay, fd: number): void {
  let ret = getPage(fd, 1)
  const used = heldPage().pfn
  r.row('E5.falloc', 'get_page idx 1 after fallocate', { ret, obs: page(used) })
  putPage()
  ret = allocate(fd, 0, 4)
  r.row('E5.falloc', 'idx 1 after a second fallocate', { ret, obs: page(used) })
  const twice = page(pfnOf(fd, 2))
  r.row('E5.falloc', 'idx 2, only fallocated (twice)', { ret: 0, obs: twice })
  ret = allocate(fd, 8, 9)
  // What fallocate has made has no content yet, and is handed out as it is.
  r.row('E5.falloc1', 'idx 8, fallocated once', { ret, obs: page(pfnOf(fd, 8)) })
}

/** 64 holes; none is cleared. */
function holes(r: Replay, fd: number): void {
  let residue = 0
  let uptodate = 0
  for (let i = 0x100; i < 0x140; i++) {
    const folio = pfnToFolio(touch(fd, i).pfn)!
    if (isResidue(folio.data as Blob, 0)) residue++
    if (folio.uptodate) uptodate++
  }
  assert.equal(residue, 64)
  r.row('E5.zero', 'get_page of 64 holes', { ret: 0, obs: { uptodate } })

  const memfd = call(sysMemfdCreate, 0)
  const address = mapFile(memfd, 64)
  let zeroed = 0
  for (let i = 0; i < 64; i++) {
    if (load(address, i) === 0 && mapped(address, i).data === ZERO_PAGE) zeroed++
  }
  const control = 'control: 64 ordinary memfd pages through mmap'
  r.row('E5.zero', control, { ret: 0, obs: { zeroed } })
  call(sysMunmap, BigInt(address), 64n * P)
  call(sysClose, memfd)
}

/** Behind the end, held across a punch, at indices that no file has, after the unbind. */
function farPages(r: Replay, fd: number): void {
  r.row('E5.past', 'size now', { ret: 0, obs: stat(fd) })
  let ret = getPage(fd, 0x300)
  const past = page(heldPage().pfn)
  r.row('E5.past', 'get_page idx 0x300 past EOF', { ret, obs: past })
  putPage()

  ret = getPage(fd, 0x3ff)
  const old = heldPage().pfn
  r.row('E5.held', 'get_page idx 0x3ff, reference kept', { ret, obs: page(old) })
  ret = punch(fd, 0x3ff, 0x400)
  drain()
  const left = { ...fileState(fd, 0x3ff), old: page(old) }
  r.row('E5.held', 'punch it while a reference is held', { ret, obs: left })
  ret = getPage(fd, 0x3ff)
  const same = Number(heldPage().pfn === old)
  r.row('E5.held', 'get_page again', { ret, obs: { same_pfn: same } })
  putPage()
  r.row('E5.held', 'old page after the put', { ret: 0, obs: page(old) })
  putPage()

  bind(fd, 2 ** 40, 2 ** 40 + 1, 2)
  bind(fd, 2 ** 51, 2 ** 51 + 1, 3)
  r.row('E5.big', 'get_page idx 2^40 (bound)', { ret: getPage(fd, 2 ** 40) })
  putPage()
  const far = 'get_page idx 2^51 (bound; byte offset is 2^63)'
  r.row('E5.big', far, { ret: getPage(fd, 2 ** 51) })
  unbind(fd, 0, 1023)
  ret = getPage(fd, 0)
  r.row('E5.unb', 'get_page idx 0 after unbind', { ret, obs: fileState(fd, 0) })
}

export function mainPages(r: Replay): void {
  const fd = create()
  resetMmu(1)
  firstPages(r, fd)
  fallocated(r, fd)
  holes(r, fd)
  farPages(r, fd)
  call(sysClose, fd)

  // One page looked at four times; its batch was drained after the first.
  const other = create()
  bind(other, 0, 63, 1)
  const { pfn } = touch(other, 1)
  for (let i = 0; i < 4; i++) {
    r.row('E5.blk', 'pageblock type of a faulted page', { ret: 0, obs: page(pfn) })
    drain()
  }
  call(sysClose, other)
}
