/** E1 and E2 of the recorded runs: what a restricted file answers, and its size. */
import { sysDup, sysFcntlGetfd, sysFcntlGetfl, sysFcntlSetfl } from '../../src/kernel/fs/fcntl.js'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import {
  sysFallocate,
  sysFchmod,
  sysFchown,
  sysFtruncate,
  sysOpenFdLink,
  sysTruncateFdLink,
} from '../../src/kernel/fs/open.js'
import { sysLseek, sysPread, sysPwrite, sysRead, sysWrite } from '../../src/kernel/fs/read_write.js'
import { sysFstatfs } from '../../src/kernel/fs/stat.js'
import { sysFsync } from '../../src/kernel/fs/sync.js'
import {
  F_SEAL_GROW,
  MAP_PRIVATE,
  MAP_SHARED,
  O_APPEND,
  O_DIRECT,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  SEEK_DATA,
  SEEK_END,
  SEEK_SET,
} from '../../src/kernel/include/uapi.js'
import { sysFcntlAddSeals, sysFcntlGetSeals, sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { sysMmap } from '../../src/kernel/mm/mmap.js'
import { sysMemfdRestricted } from '../../src/kernel/mm/restrictedmem.js'
import { allocate, bind, create, drain, fault, faultAll, KEEP, P, pfnOf } from './calls.js'
import { faulted, resetMmu } from './device.js'
import { fileState, inodes, modes, page, spte, stat } from './observe.js'
import type { Replay } from './replay.js'
import { call } from './runner.js'

const close = (fd: number): number => call(sysClose, fd)

/** Flags, and every call that a restricted file refuses. */
function e1Calls(r: Replay): void {
  const fd = create()
  const obs = {
    fd_cloexec: call(sysFcntlGetfd, fd),
    getfl: `0${call(sysFcntlGetfl, fd).toString(8)}`,
  }
  r.row('E1.create', 'memfd_restricted(0)', { ret: 0, obs })
  for (const flags of [1, 2, 4, 8, 16, 0x80000000, 0xffffffff]) {
    const ret = call(sysMemfdRestricted, flags | 0)
    r.row('E1.flags', `memfd_restricted(0x${flags.toString(16)})`, { ret })
  }
  const magic = call(sysFstatfs, fd)
  r.row('E1.fstatfs', 'fstatfs', { ret: 0, obs: { f_type: `0x${magic.toString(16)}` } })
  r.row('E1.fstat', 'fstat', { ret: 0, obs: stat(fd) })

  const io = (name: string, ret: number): void => r.row('E1.io', name, { ret })
  io('read', call(sysRead, fd, 1))
  io('pread', call(sysPread, fd, 0n, 1))
  io('write', call(sysWrite, fd, 1, 0))
  io('pwrite', call(sysPwrite, fd, 0n, 1, 0))
  io('read len 0', call(sysRead, fd, 0))
  io('lseek SET 0', call(sysLseek, fd, 0n, SEEK_SET))
  io('lseek SET 4096', call(sysLseek, fd, 4096n, SEEK_SET))
  io('lseek END', call(sysLseek, fd, 0n, SEEK_END))
  io('lseek DATA', call(sysLseek, fd, 0n, SEEK_DATA))
  io('mmap SHARED RW', call(sysMmap, 0n, P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0n))
  io('mmap PRIVATE R', call(sysMmap, 0n, P, PROT_READ, MAP_PRIVATE, fd, 0n))
  io('mmap SHARED NONE', call(sysMmap, 0n, P, 0, MAP_SHARED, fd, 0n))
  io('mmap SHARED RX', call(sysMmap, 0n, P, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0n))
  io('fsync', call(sysFsync, fd))
  io('fdatasync', call(sysFsync, fd))
  io('fcntl F_GET_SEALS', call(sysFcntlGetSeals, fd))
  io('fcntl F_ADD_SEALS GROW', call(sysFcntlAddSeals, fd, F_SEAL_GROW))
  io('fcntl F_SETFL O_APPEND', call(sysFcntlSetfl, fd, O_APPEND))
  io('fcntl F_SETFL O_DIRECT', call(sysFcntlSetfl, fd, O_DIRECT))
  io('open /proc/self/fd/N O_RDWR', call(sysOpenFdLink, fd))
  io('open /proc/self/fd/N O_RDONLY', call(sysOpenFdLink, fd))
  r.row('E1.fstat', 'fstat after the refusals', { ret: 0, obs: stat(fd) })
  const ret = call(sysTruncateFdLink, fd, 8192n)
  r.row('E1.io', 'truncate via /proc/self/fd/N to 8192', { ret, obs: stat(fd) })
  close(fd)
}

/** Attributes, the two inodes, a duplicate, a file of another kind. */
function e1Inodes(r: Replay): void {
  const fd = create()
  let ret = call(sysFchmod, fd, 0o640)
  r.row('E1.attr', 'fchmod 0640', { ret, obs: stat(fd) })
  r.row('E1.attr', 'modes after fchmod', { ret: 0, obs: modes(fd) })
  ret = call(sysFchown, fd, 5)
  r.row('E1.attr', 'fchown 5,5', { ret, obs: stat(fd) })
  r.row('E1.inner', 'state of inner and wrapper inode', { ret: 0, obs: inodes(fd) })

  const dup = call(sysDup, fd)
  close(fd)
  ret = call(sysFtruncate, dup, 4096n)
  r.row('E1.dup', 'ftruncate(dup,4096) after close of original', { ret, obs: stat(dup) })
  close(dup)
  const plain = call(sysMemfdCreate, 0)
  r.row('E1.badop', 'bind on a plain memfd', { ret: bind(plain, 0, 7, 1) })
  close(plain)
}

/** The size can be set while it is 0; nothing bounds it. */
function e2Size(r: Replay): void {
  const fd = create()
  const trunc = (name: string, size: bigint): void => {
    const ret = call(sysFtruncate, fd, size)
    r.row('E2.trunc', name, { ret, obs: ret === 0 ? stat(fd) : {} })
  }
  trunc('ftruncate(fd,0) first', 0n)
  trunc('ftruncate(fd,100)', 100n)
  trunc('ftruncate(fd,-1)', -1n)
  trunc('ftruncate(fd,8192)', 8192n)
  trunc('ftruncate(fd,8192) again', 8192n)
  trunc('ftruncate(fd,4096)', 4096n)
  trunc('ftruncate(fd,16384)', 16384n)
  trunc('ftruncate(fd,0)', 0n)
  trunc('ftruncate(fd,100) after sized', 100n)
  const ret = allocate(fd, 2, 4)
  r.row('E2.d60', 'fallocate(0,8192,8192) on fixed size 8192', { ret, obs: stat(fd) })
  close(fd)
  for (const [name, size] of [
    ['2^50', 2n ** 50n],
    ['2^62', 2n ** 62n],
    ['2^63-4096', 2n ** 63n - 4096n],
  ] as const) {
    const huge = create()
    const set = call(sysFtruncate, huge, size)
    r.row('E2.huge', `ftruncate(fd,${name})`, { ret: set, obs: stat(huge) })
    close(huge)
  }
}

/** What setting the size does to pages that are there already. */
function e2Pages(r: Replay): void {
  let fd = create()
  call(sysFallocate, fd, KEEP, 0n, 8n * P)
  let ret = call(sysFtruncate, fd, 0n)
  const kept = 'fallocate(KEEP,0,8p) on a size-0 file, then ftruncate(fd,0)'
  r.row('E2.keep', kept, { ret, obs: fileState(fd, 0) })
  close(fd)

  fd = create()
  resetMmu(1)
  r.row('E2.d20', 'bind [0,512) id 1 on size-0 file', { ret: bind(fd, 0, 511, 1) })
  for (let i = 0; i < 8; i++) {
    const got = fault(fd, i)
    if (i !== 0 && i !== 7) continue
    const obs = { idx: i, order: 0, ref_while_held: faulted().refWhileHeld }
    r.row('E2.d20', 'fault index (size 0)', { ret: got, obs })
  }
  drain()
  const before = { ...fileState(fd, 0), ...spte(fd, 1), ...stat(fd) }
  r.row('E2.d20', 'before ftruncate', { ret: 0, obs: before })
  const first = pfnOf(fd, 0)
  ret = call(sysFtruncate, fd, 0n)
  const after = { ...fileState(fd, 0), ...spte(fd, 1), page0: page(first) }
  r.row('E2.d20', 'ftruncate(fd,0) with 8 mapped pages', { ret, obs: after })
  close(fd)

  fd = create()
  resetMmu(1)
  bind(fd, 0, 511, 1)
  faultAll(fd, 0, 8)
  ret = call(sysFtruncate, fd, 16384n)
  const sized = { ...fileState(fd, 7), ...spte(fd, 1) }
  r.row('E2.d20b', 'ftruncate(fd,16384) first size with 8 mapped pages past it', {
    ret,
    obs: sized,
  })
  ret = call(sysFtruncate, fd, 0n)
  r.row('E2.d20b', 'then ftruncate(fd,0)', { ret, obs: spte(fd, 1) })
  close(fd)

  fd = create()
  resetMmu(1)
  call(sysFtruncate, fd, 16384n)
  bind(fd, 0, 511, 1)
  faultAll(fd, 0, 8)
  const past = { ...fileState(fd, 7), ...spte(fd, 1) }
  r.row('E2.past', 'faults past EOF of a 4-page file (8 pages)', { ret: 0, obs: past })
  close(fd)
}

export function mainInterface(r: Replay): void {
  e1Calls(r)
  e1Inodes(r)
  e2Size(r)
  e2Pages(r)
}
