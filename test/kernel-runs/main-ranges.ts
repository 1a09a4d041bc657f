/** E3 and E4 of the recorded runs: allocation, punching, and which notifiers hear of what. */
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { sysFallocate } from '../../src/kernel/fs/open.js'
import {
  allocate,
  bind,
  create,
  fault,
  getPage,
  KEEP,
  P,
  PUNCH,
  pfnOf,
  punch,
  putPage,
  unbind,
} from './calls.js'
import { devBind, watch } from './device.js'
import { entries, fileState, owner, spte, stat } from './observe.js'
import type { Replay } from './replay.js'
import { call } from './runner.js'

const close = (fd: number): number => call(sysClose, fd)

function exclusiveStyle(r: Replay): void {
  const fd = create()
  let ret = bind(fd, 0, 8, 1)
  const a = 'bind A [0,8] id 1 (end passed as 8, exclusive style)'
  r.row('E3.bindx', a, { ret, obs: owner(fd, 0, 10) })
  ret = bind(fd, 8, 16, 2)
  const b = 'bind B [8,16] id 2 (adjacent, exclusive style)'
  r.row('E3.bindx', b, { ret, obs: owner(fd, 0, 18) })
  ret = bind(fd, 9, 16, 2)
  r.row('E3.bindx', 'bind B [9,16] id 2', { ret, obs: owner(fd, 0, 18) })
  close(fd)
}

/** A file of its own for the modes that fallocate refuses. */
function fallocateModes(r: Replay): void {
  const fd = create()
  const mode = (name: string, m: number, offset: bigint, len: bigint): void =>
    r.row('E3.mode', name, { ret: call(sysFallocate, fd, m, offset, len) })
  mode('fallocate(PUNCH without KEEP)', PUNCH, 0n, P)
  mode('fallocate(PUNCH|KEEP,100,4096)', PUNCH | KEEP, 100n, P)
  mode('fallocate(PUNCH|KEEP,0,100)', PUNCH | KEEP, 0n, 100n)
  mode('fallocate(PUNCH|KEEP,0,0)', PUNCH | KEEP, 0n, 0n)
  mode('fallocate(PUNCH|KEEP,-4096,4096)', PUNCH | KEEP, -P, P)
  mode('fallocate(0,0,0)', 0, 0n, 0n)
  mode('fallocate(0,2^62,2^62)', 0, 2n ** 62n, 2n ** 62n)
  const big = create()
  const ret = call(sysFallocate, big, 0, 2n ** 63n - 4097n, P)
  r.row('E3.mode', 'fallocate(0,2^63-4097,4096) on a new file', { ret, obs: stat(big) })
  close(big)
  for (const m of [4, 8, 0x10, 0x11, 0x20, 0x40, 0x43, 0x80, 0x13]) {
    mode(`fallocate(mode 0x${m.toString(16)},0,4096)`, m, 0n, P)
  }
  close(fd)
}

function e3Punch(r: Replay): void {
  const fd = create()
  let ret = bind(fd, 0, 7, 1)
  r.row('E3.bindi', 'bind A [0,7] id 1 (inclusive style)', { ret, obs: owner(fd, 0, 9) })
  ret = bind(fd, 8, 15, 2)
  const both = { ...owner(fd, 0, 17), ...entries(fd) }
  r.row('E3.bindi', 'bind B [8,15] id 2', { ret, obs: both })

  const falloc = (name: string, index: number | undefined, m: number, at: bigint, len: bigint) => {
    ret = call(sysFallocate, fd, m, at, len)
    const state = index === undefined ? {} : fileState(fd, index)
    r.row('E3.falloc', name, { ret, obs: { ...stat(fd), ...state } })
  }
  falloc('fallocate(0,0,16p)', 0, 0, 0n, 16n * P)
  falloc('fallocate(KEEP,16p,4p)', 16, KEEP, 16n * P, 4n * P)
  falloc('fallocate(0,100,50) unaligned', undefined, 0, 100n, 50n)
  falloc('fallocate(0,20p+100,50) unaligned grow', undefined, 0, 20n * P + 100n, 50n)
  fallocateModes(r)

  watch(pfnOf(fd, 4))
  const hole = (name: string, first: number, end: number, index?: number): void => {
    ret = punch(fd, first, end)
    const obs = index === undefined ? {} : fileState(fd, index)
    r.row('E3.punch', name, { ret, obs })
  }
  hole('punch pages [4,6) inside A', 4, 6, 4)
  hole('punch pages [6,8) (last pages of A; B starts at 8)', 6, 8, 8)
  hole('punch page [7,8) only, hole already', 7, 8)
  hole('punch pages [8,9) first page of B', 8, 9)
  hole('punch [6,10) across A and B', 6, 10, 6)
  hole('punch [16,20) outside any binding', 16, 20, 16)
  hole('punch [15,16) last page of B', 15, 16)
  ret = punch(fd, 0, 2 ** 28)
  r.row('E3.punch', 'punch [0,2^40)', { ret, obs: { ...fileState(fd, 0), ...stat(fd) } })
  watch(undefined)
  close(fd)
}

/** One call for each entry of the XArray. */
function e3Entries(r: Replay): void {
  let fd = create()
  allocate(fd, 0, 4)
  const ret = punch(fd, 1, 3)
  r.row('E3.seal', 'punch without any binding', { ret, obs: fileState(fd, 1) })
  close(fd)

  const bound = (x: string, name: string, first: number, last: number): void => {
    fd = create()
    const got = bind(fd, first, last, 3)
    r.row(x, name, { ret: got, obs: entries(fd) })
  }
  const hole = (x: string, name: string, first: number, end: number): void =>
    r.row(x, name, { ret: punch(fd, first, end) })
  bound('E3.odd', 'bind [0x10..0x100f] id 3 (inclusive)', 0x10, 0x100f)
  hole('E3.odd', 'punch [0x10,0x1010)', 0x10, 0x1010)
  hole('E3.odd', 'punch [0x3f,0x41)', 0x3f, 0x41)
  close(fd)
  bound('E3.odd2', 'bind [0..0x1000] id 3 (4096 pages, exclusive end stored)', 0, 0x1000)
  hole('E3.odd2', 'punch [0,0x1000)', 0, 0x1000)
  close(fd)
  bound('E3.odd3', 'bind [0..0xfff] id 3', 0, 0xfff)
  hole('E3.odd3', 'punch [0,0x1000)', 0, 0x1000)
  close(fd)
  bound('E3.odd4', 'bind [0..0x80000] id 3 (2 GiB + 1 page)', 0, 0x80000)
  hole('E3.odd4', 'punch [0,0x80000)', 0, 0x80000)
  close(fd)
}

/** What bind refuses; then an unbind of a part, which takes the whole. */
function e4Binds(r: Replay): void {
  let fd = create()
  const err = (name: string, ret: number, obs = {}): void => r.row('E4.err', name, { ret, obs })
  err('bind non-exclusive', call(devBind, fd, 0, 7, 1, false))
  const backwards = bind(fd, 8, 3, 1)
  err('bind end<start [8,3]', backwards, owner(fd, 0, 9))
  const whole = bind(fd, 0, 0xff, 1)
  err('bind [0..ff] id 1', whole, entries(fd))
  err('bind same range id 1 again', bind(fd, 0, 0xff, 1))
  err('bind [40..4f] id 2 sub-range', bind(fd, 0x40, 0x4f, 2))
  err('bind [f0..110] id 2 overlap', bind(fd, 0xf0, 0x110, 2))
  err('bind non-exclusive on bound file', call(devBind, fd, 0x200, 0x2ff, 2, false))
  const next = bind(fd, 0x100, 0x1ff, 2)
  err('bind [100..1ff] id 2 adjacent', next, entries(fd))

  const sub = (name: string, ret: number, obs = {}): void => r.row('E4.sub', name, { ret, obs })
  sub('fault idx 5 id 1', fault(fd, 5, 1))
  let ret = unbind(fd, 0x40, 0x4f)
  sub('unbind sub-range [40..4f] of id 1', ret, { ...entries(fd), spte: spte(fd, 1) })
  sub('get_page idx 5 (not in the unbound sub-range)', getPage(fd, 5))
  sub('get_page idx 0x45', getPage(fd, 0x45))
  sub('get_page idx 0x105 (id 2)', getPage(fd, 0x105))
  putPage()
  ret = punch(fd, 0, 256)
  sub('punch [0,256) after it', ret, { spte: spte(fd, 1) })
  close(fd)

  fd = create()
  bind(fd, 0, 7, 1)
  bind(fd, 8, 15, 2)
  const other = (name: string, got: number, obs = {}): void =>
    r.row('E4.other', name, { ret: got, obs })
  ret = unbind(fd, 0, 7)
  other("unbind A's range [0..7] naming B's notifier", ret, owner(fd, 0, 16))
  ret = unbind(fd, 0, 15)
  other('unbind [0..15]', ret, owner(fd, 0, 16))
  other('unbind again', unbind(fd, 0, 15))
  ret = bind(fd, 0, 7, 4)
  r.row('E4.re', 'rebind [0..7] to id 4', { ret, obs: owner(fd, 0, 8) })
  close(fd)
}

function e4Parts(r: Replay): void {
  let fd = create()
  bind(fd, 0, 8, 1)
  bind(fd, 9, 15, 2)
  let ret = unbind(fd, 0, 8)
  const excl = 'A=[0..8],B=[9..15]; unbind A (exclusive style 0,8)'
  r.row('E4.excl', excl, { ret, obs: owner(fd, 0, 16) })
  close(fd)

  fd = create()
  bind(fd, 0x10, 0x2f, 1)
  ret = bind(fd, 0x30, 0x3f, 2)
  r.row('E4.part', 'bind [10..2f], then [30..3f]', { ret, obs: entries(fd) })
  ret = unbind(fd, 0x18, 0x1f)
  const left = { ...entries(fd), ...owner(fd, 0xe, 0x32) }
  r.row('E4.part', 'unbind [18..1f]', { ret, obs: left })
  close(fd)

  fd = create()
  bind(fd, 0, 511, 1)
  fault(fd, 0, 1)
  const closed = 'close of the fd with a live binding and one mapped page'
  r.row('E4.close', closed, { ret: close(fd) })
}

export function mainRanges(r: Replay): void {
  exclusiveStyle(r)
  e3Punch(r)
  e3Entries(r)
  e4Binds(r)
  e4Parts(r)
}
