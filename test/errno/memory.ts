/** mmap, munmap and the accesses that they allow. */
import type { Op } from '../../src/conform/program.js'
import { differs, type Row, same } from './row.js'

const READ = 1
const WRITE = 2
const EXEC = 4
const SHARED = 1
const PRIVATE = 2
const VALIDATE = 3
const SYNC = 0x80000

/** A memfd of two pages that can be sealed, then more. */
const file = (...then: readonly Op[]): readonly Op[] => [['create', 2], ['trunc', 0, 8192], ...then]

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
    file(['seal', 0, 8], ['mmap', 0, READ | WRITE, SHARED, 4096, 0]),
  ),
  differs(
    'mmap',
    'shared and read-only with F_SEAL_WRITE',
    '-EPERM',
    'map',
    file(['seal', 0, 8], ['mmap', 0, READ, SHARED, 4096, 0]),
  ),
  same(
    'mmap',
    'private and writable with F_SEAL_WRITE',
    'map',
    file(['seal', 0, 8], ['mmap', 0, READ | WRITE, PRIVATE, 4096, 0]),
  ),
  same(
    'mmap',
    'shared and writable with F_SEAL_FUTURE_WRITE',
    '-EPERM',
    file(['seal', 0, 16], ['mmap', 0, READ | WRITE, SHARED, 4096, 0]),
  ),
  same(
    'mmap',
    'shared and read-only with F_SEAL_FUTURE_WRITE',
    'map',
    file(['seal', 0, 16], ['mmap', 0, READ, SHARED, 4096, 0]),
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
    file(['mmap', 0, READ | WRITE, SHARED, 8192, 0], ['seal', 0, 16], ['store', 0, 0, 1]),
  ),
]

export const memoryRows: readonly Row[] = [...mmapRows, ...accessRows]
