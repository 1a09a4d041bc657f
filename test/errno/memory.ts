/** mmap, munmap and the accesses that they allow, and move_pages. */
import type { Op } from '../../src/conform/program.js'
import { sysFtruncate } from '../../src/kernel/fs/open.js'
import {
  MPOL_MF_MOVE,
  MPOL_MF_MOVE_ALL,
  MS_ASYNC,
  MS_INVALIDATE,
  MS_SYNC,
} from '../../src/kernel/include/uapi.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { sysMovePages } from '../../src/kernel/mm/move_pages.js'
import { userLoadAt } from '../../src/user/access.js'
import { userMmap, userMsync } from '../../src/user/memory.js'
import { type Call, differs, type Row, same } from './row.js'

const READ = 1
const WRITE = 2
const EXEC = 4
const SHARED = 1
const PRIVATE = 2
const VALIDATE = 3
const SYNC = 0x80000

/** An address at which nothing is mapped. */
const NOWHERE = 0x20000n

const anonymous = (call: Call): number =>
  call(userMmap, -1, READ | WRITE, PRIVATE | 0x20, 4096n, 0n, 0)

/** A page of a memfd at two addresses, of which the first is returned. */
function mapTwice(call: Call): number {
  const fd = call(sysMemfdCreate, 0)
  call(sysFtruncate, fd, 4096n)
  const at = [1, 2].map(() => call(userMmap, fd, READ | WRITE, SHARED, 4096n, 0n, 0))
  for (const address of at) call(userLoadAt, address, 0n)
  return at[0] ?? -1
}

/** A memfd of two pages that can be sealed, then more. */
const file = (...then: readonly Op[]): readonly Op[] => [
  ['memfd_create', 2],
  ['ftruncate', 0, 8192],
  ...then,
]

const mmapRows: readonly Row[] = [
  same('mmap', 'an unaligned offset, and a bad descriptor', '-EINVAL', [
    ['mmap', 0, READ, SHARED, 4096, 1],
  ]),
  same('mmap', 'a bad descriptor', '-EBADF', [['mmap', 0, READ, SHARED, 4096, 0]]),
  same('mmap', 'a bad descriptor, and length 0', '-EBADF', [['mmap', 0, READ, SHARED, 0, 0]]),
  same('mmap', 'length 0', '-EINVAL', file(['mmap', 0, READ, SHARED, 0, 0])),
  same('mmap', 'a length that wraps', '-ENOMEM', file(['mmap', 0, READ, SHARED, -1, 0])),
  same(
    'mmap',
    'more than there are addresses',
    '-ENOMEM',
    file(['mmap', 0, READ, SHARED, 2n ** 47n, 0]),
  ),
  same('mmap', 'an end beyond 2^64', '-EOVERFLOW', file(['mmap', 0, READ, SHARED, 8192, -4096])),
  same(
    'mmap',
    'an end beyond the largest file',
    '-EOVERFLOW',
    file(['mmap', 0, READ, SHARED, 8192, 2n ** 63n - 4096n]),
  ),
  same('mmap', 'neither shared nor private', '-EINVAL', file(['mmap', 0, READ, 0, 4096, 0])),
  same(
    'mmap',
    'neither shared nor private, beyond the largest file',
    '-EOVERFLOW',
    file(['mmap', 0, READ, 0, 8192, 2n ** 63n - 4096n]),
  ),
  same(
    'mmap',
    'MAP_SHARED_VALIDATE with MAP_SYNC',
    '-EOPNOTSUPP',
    file(['mmap', 0, READ, VALIDATE | SYNC, 4096, 0]),
  ),
  same('mmap', 'MAP_SHARED with MAP_SYNC', 'map', file(['mmap', 0, READ, SHARED | SYNC, 4096, 0])),
  same('mmap', 'MAP_SHARED_VALIDATE', 'map', file(['mmap', 0, READ, VALIDATE, 4096, 0])),
  same(
    'mmap',
    'MAP_HUGETLB of a memfd',
    '-EINVAL',
    file(['mmap', 0, READ, SHARED | 0x40000, 4096, 0]),
  ),
  same('mmap', 'MAP_GROWSDOWN', '-EINVAL', file(['mmap', 0, READ, PRIVATE | 0x100, 4096, 0])),
  same('mmap', 'executable', 'map', file(['mmap', 0, READ | EXEC, PRIVATE, 4096, 0])),
  same(
    'mmap',
    'shared and writable with F_SEAL_WRITE',
    '-EPERM',
    file(['fcntl_add_seals', 0, 8], ['mmap', 0, READ | WRITE, SHARED, 4096, 0]),
  ),
  differs(
    'mmap',
    'shared and read-only with F_SEAL_WRITE',
    '-EPERM',
    'map',
    file(['fcntl_add_seals', 0, 8], ['mmap', 0, READ, SHARED, 4096, 0]),
  ),
  same(
    'mmap',
    'private and writable with F_SEAL_WRITE',
    'map',
    file(['fcntl_add_seals', 0, 8], ['mmap', 0, READ | WRITE, PRIVATE, 4096, 0]),
  ),
  same(
    'mmap',
    'shared and writable with F_SEAL_FUTURE_WRITE',
    '-EPERM',
    file(['fcntl_add_seals', 0, 16], ['mmap', 0, READ | WRITE, SHARED, 4096, 0]),
  ),
  same(
    'mmap',
    'shared and read-only with F_SEAL_FUTURE_WRITE',
    'map',
    file(['fcntl_add_seals', 0, 16], ['mmap', 0, READ, SHARED, 4096, 0]),
  ),
]

const accessRows: readonly Row[] = [
  same('load', 'of a hole', 0, file(['mmap', 0, READ, SHARED, 8192, 0], ['load', 0, 0])),
  same(
    'load',
    'behind the end of the file',
    '-EFAULT',
    file(['mmap', 0, READ, SHARED, 16384, 0], ['load', 0, 8192]),
  ),
  same(
    'store',
    'through a read-only mapping',
    '-EFAULT',
    file(['mmap', 0, READ, SHARED, 8192, 0], ['store', 0, 0, 1]),
  ),
  same(
    'store',
    'through a mapping older than F_SEAL_FUTURE_WRITE',
    1,
    file(
      ['mmap', 0, READ | WRITE, SHARED, 8192, 0],
      ['fcntl_add_seals', 0, 16],
      ['store', 0, 0, 1],
    ),
  ),
]

/** A mapping of a page that is there, once. */
const onePage = file(['mmap', 0, READ | WRITE, SHARED, 4096, 0], ['store', 0, 0, 1])
const mappedTwice: readonly Op[] = [
  ...onePage,
  ['mmap', 0, READ | WRITE, SHARED, 4096, 0],
  ['load', 1, 0],
]
const secret: readonly Op[] = [
  ['memfd_secret', 0],
  ['ftruncate', 0, 4096],
  ['mmap', 0, READ | WRITE, SHARED, 4096, 0],
  ['store', 0, 0, 1],
]

/** Those of calls as in a transcript are recorded too, but of 6.1. */
const moveRows: readonly Row[] = [
  same(
    'move_pages',
    'flags beyond MPOL_MF_MOVE and MPOL_MF_MOVE_ALL, and a node that there is not',
    '-EINVAL',
    (call) => call(sysMovePages, NOWHERE, 2, 1),
    'read',
  ),
  same(
    'move_pages',
    'a node that there is not, of what is not mapped',
    '-ENODEV',
    (call) => call(sysMovePages, NOWHERE, 2, MPOL_MF_MOVE),
    'read',
  ),
  same(
    'move_pages',
    'what is not mapped (status)',
    '-EFAULT',
    (call) => call(sysMovePages, NOWHERE, 1, MPOL_MF_MOVE),
    'read',
  ),
  differs(
    'move_pages',
    'anonymous memory that is not there (status)',
    '-EFAULT',
    '-ENOENT',
    (call) => call(sysMovePages, BigInt(anonymous(call)), 1, MPOL_MF_MOVE),
    'read',
  ),
  same(
    'move_pages',
    'with MPOL_MF_MOVE_ALL, mapped twice (status)',
    1,
    (call) => call(sysMovePages, BigInt(mapTwice(call)), 1, MPOL_MF_MOVE_ALL),
    'read',
  ),
  same('move_pages', 'a negative node', '-ENODEV', [...onePage, ['move_pages', 0, 0, -1]], 'read'),
  same('move_pages', 'a page (status)', 1, [...onePage, ['move_pages', 0, 0, 1]], 'read'),
  same(
    'move_pages',
    'a page that is not there (status)',
    '-ENOENT',
    file(['mmap', 0, READ, SHARED, 4096, 0], ['move_pages', 0, 0, 1]),
    'read',
  ),
  same(
    'move_pages',
    'a page that is mapped twice (status)',
    '-EACCES',
    [...mappedTwice, ['move_pages', 0, 0, 1]],
    'read',
  ),
  same(
    'move_pages',
    'a page that is mapped twice, on the node already (status)',
    0,
    [...mappedTwice, ['move_pages', 0, 0, 0]],
    'read',
  ),
  {
    call: 'move_pages',
    condition: 'secret memory (status)',
    answer: { '6.2': '-ENOENT' },
    source: { '6.2': 'read' },
    ops: [...secret, ['move_pages', 0, 0, 1]],
  },
]

/** A memfd mapped shared and whole, then more. */
const mapped = (...then: readonly Op[]): readonly Op[] =>
  file(['mmap', 0, READ | WRITE, SHARED, 8192, 0], ...then)

const msyncRows: readonly Row[] = [
  same('msync', 'MS_SYNC of a memfd', 0, mapped(['msync', 0, 0, 8192, MS_SYNC])),
  same('msync', 'an unknown flag', '-EINVAL', mapped(['msync', 0, 0, 4096, 8])),
  same(
    'msync',
    'MS_ASYNC and MS_SYNC',
    '-EINVAL',
    mapped(['msync', 0, 0, 4096, MS_ASYNC | MS_SYNC]),
  ),
  same('msync', 'an address that is not page aligned', '-EINVAL', mapped(['msync', 0, 1, 1, 0])),
  same('msync', 'no flags', 0, mapped(['msync', 0, 0, 4096, 0])),
  same(
    'msync',
    'MS_INVALIDATE of locked memory',
    '-EBUSY',
    mapped(['mlock', 0, 0, 4096], ['msync', 0, 0, 8192, MS_SYNC | MS_INVALIDATE]),
  ),
  same('msync', 'MS_SYNC of secret memory, whose file has no fsync', '-EINVAL', [
    ['memfd_secret', 0],
    ['ftruncate', 0, 4096],
    ['mmap', 0, READ, SHARED, 4096, 0],
    ['msync', 0, 0, 4096, MS_SYNC],
  ]),
  same('msync', 'MS_INVALIDATE of secret memory, which is locked', '-EBUSY', [
    ['memfd_secret', 0],
    ['ftruncate', 0, 4096],
    ['mmap', 0, READ, SHARED, 4096, 0],
    ['msync', 0, 0, 4096, MS_INVALIDATE],
  ]),
  same('msync', 'what is not mapped', '-ENOMEM', (call) =>
    call(userMsync, Number(NOWHERE), 4096n, MS_SYNC, 0n),
  ),
  same('msync', 'a length that wraps', '-ENOMEM', (call) =>
    call(userMsync, Number(NOWHERE), -8192n, MS_SYNC, 0n),
  ),
]

export const memoryRows: readonly Row[] = [...mmapRows, ...accessRows, ...msyncRows, ...moveRows]
