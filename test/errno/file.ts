/** Files of tmpfs: ftruncate, fallocate, pread, pwrite and lseek; dup and close. */
import type { Op } from '../../src/conform/program.js'
import { differs, type Row, same } from './row.js'

const KEEP = 1
const PUNCH = 2
const DATA = 3
const HOLE = 4
const END = 2n ** 63n - 1n
/** Where the last page begins that a file can have: a loff_t does not reach behind it. */
const LAST = 2n ** 63n - 4096n

/** A memfd of two pages without content that can be sealed, then more. */
const file = (...then: readonly Op[]): readonly Op[] => [
  ['memfd_create', 2],
  ['ftruncate', 0, 8192],
  ...then,
]

const ftruncateRows: readonly Row[] = [
  same('ftruncate', 'a negative length, and a bad descriptor', '-EINVAL', [['ftruncate', 0, -1]]),
  same('ftruncate', 'a bad descriptor', '-EBADF', [['ftruncate', 0, 4096]]),
  same(
    'ftruncate',
    'a smaller size with F_SEAL_SHRINK',
    '-EPERM',
    file(['fcntl_add_seals', 0, 2], ['ftruncate', 0, 1]),
  ),
  same(
    'ftruncate',
    'a larger size with F_SEAL_GROW',
    '-EPERM',
    file(['fcntl_add_seals', 0, 4], ['ftruncate', 0, 8193]),
  ),
  same(
    'ftruncate',
    'the same size with both seals',
    0,
    file(['fcntl_add_seals', 0, 6], ['ftruncate', 0, 8192]),
  ),
  same('ftruncate', '2^63 - 1', 0, file(['ftruncate', 0, END])),
]

const fallocateRows: readonly Row[] = [
  same('fallocate', 'length 0', '-EINVAL', file(['fallocate', 0, 0, 0, 0])),
  same('fallocate', 'a negative offset', '-EINVAL', file(['fallocate', 0, 0, -1, 10])),
  same('fallocate', 'length 0, and a bad descriptor', '-EBADF', [['fallocate', 0, 0, 0, 0]]),
  same('fallocate', 'length 0, and an unknown mode', '-EINVAL', file(['fallocate', 0, 0x80, 0, 0])),
  same('fallocate', 'an unknown mode', '-EOPNOTSUPP', file(['fallocate', 0, 0x80, 0, 10])),
  same(
    'fallocate',
    'PUNCH_HOLE without KEEP_SIZE',
    '-EOPNOTSUPP',
    file(['fallocate', 0, PUNCH, 0, 10]),
  ),
  same('fallocate', 'ZERO_RANGE', '-EOPNOTSUPP', file(['fallocate', 0, 16, 0, 10])),
  same('fallocate', 'COLLAPSE_RANGE', '-EOPNOTSUPP', file(['fallocate', 0, 8, 0, 4096])),
  differs(
    'fallocate',
    'COLLAPSE_RANGE with KEEP_SIZE',
    '-EINVAL',
    '-EOPNOTSUPP',
    file(['fallocate', 0, 9, 0, 4096]),
  ),
  differs(
    'fallocate',
    'INSERT_RANGE with KEEP_SIZE',
    '-EINVAL',
    '-EOPNOTSUPP',
    file(['fallocate', 0, 33, 0, 4096]),
  ),
  differs(
    'fallocate',
    'UNSHARE_RANGE with PUNCH_HOLE and KEEP_SIZE',
    '-EINVAL',
    '-EOPNOTSUPP',
    file(['fallocate', 0, 0x43, 0, 4096]),
  ),
  same(
    'fallocate',
    'offset and length beyond 2^63 - 1',
    '-EFBIG',
    file(['fallocate', 0, KEEP, END - 10n, 100]),
  ),
  same(
    'fallocate',
    'PUNCH_HOLE with F_SEAL_WRITE',
    '-EPERM',
    file(['fcntl_add_seals', 0, 8], ['fallocate', 0, 3, 0, 4096]),
  ),
  same(
    'fallocate',
    'PUNCH_HOLE with F_SEAL_FUTURE_WRITE',
    '-EPERM',
    file(['fcntl_add_seals', 0, 16], ['fallocate', 0, 3, 0, 4096]),
  ),
  same(
    'fallocate',
    'beyond the end with F_SEAL_GROW',
    '-EPERM',
    file(['fcntl_add_seals', 0, 4], ['fallocate', 0, 0, 0, 8193]),
  ),
  same(
    'fallocate',
    'beyond the end with F_SEAL_GROW and KEEP_SIZE',
    '-EPERM',
    file(['fcntl_add_seals', 0, 4], ['fallocate', 0, KEEP, 0, 8193]),
  ),
  same(
    'fallocate',
    'within the size with F_SEAL_WRITE',
    0,
    file(['fcntl_add_seals', 0, 8], ['fallocate', 0, 0, 0, 4096]),
  ),
]

const transferRows: readonly Row[] = [
  same('pread', 'a bad descriptor', '-EBADF', [['pread', 0, 0, 1]]),
  same('pread', 'a negative offset, and a bad descriptor', '-EINVAL', [['pread', 0, -1, 1]]),
  same('pread', 'behind the end', 0, file(['pread', 0, 8192, 1])),
  same('pwrite', 'a negative offset', '-EINVAL', file(['pwrite', 0, -1, 1, 1])),
  same(
    'pwrite',
    'with F_SEAL_WRITE',
    '-EPERM',
    file(['fcntl_add_seals', 0, 8], ['pwrite', 0, 0, 1, 1]),
  ),
  same(
    'pwrite',
    'length 0 with F_SEAL_WRITE',
    0,
    file(['fcntl_add_seals', 0, 8], ['pwrite', 0, 0, 0, 1]),
  ),
  same('pwrite', 'across the end with F_SEAL_GROW, in one page', '-EPERM', [
    ['memfd_create', 2],
    ['ftruncate', 0, 100],
    ['fcntl_add_seals', 0, 4],
    ['pwrite', 0, 98, 4, 1],
  ]),
  same(
    'pwrite',
    'across the end with F_SEAL_GROW, from the page before',
    6,
    file(['fcntl_add_seals', 0, 4], ['pwrite', 0, 8186, 10, 1]),
  ),
  same(
    'pwrite',
    'of which the last byte is at 2^63 - 1',
    '-EINVAL',
    file(['pwrite', 0, END, 1, 1]),
  ),
  same('lseek', 'a bad descriptor', '-EBADF', [['lseek', 0, 0, 0]]),
  same('lseek', 'an unknown whence', '-EINVAL', file(['lseek', 0, 0, 5])),
  same('lseek', 'SEEK_SET to a negative offset', '-EINVAL', file(['lseek', 0, -1, 0])),
  same('lseek', 'SEEK_DATA at a negative offset', '-ENXIO', file(['lseek', 0, -1, DATA])),
  same('lseek', 'SEEK_DATA at the end', '-ENXIO', file(['lseek', 0, 8192, DATA])),
  same('lseek', 'SEEK_DATA in a file of holes', '-ENXIO', file(['lseek', 0, 0, DATA])),
  same(
    'lseek',
    'SEEK_DATA in a page that was only allocated',
    '-ENXIO',
    file(['fallocate', 0, 0, 0, 4096], ['lseek', 0, 0, DATA]),
  ),
  same('lseek', 'SEEK_HOLE at the end', '-ENXIO', file(['lseek', 0, 8192, HOLE])),
  same(
    'lseek',
    'SEEK_HOLE behind all data',
    8192,
    file(['pwrite', 0, 0, 8192, 1], ['lseek', 0, 0, HOLE]),
  ),
  same(
    'lseek',
    'SEEK_HOLE in the last page there can be, which was only allocated',
    LAST,
    file(['fallocate', 0, 0, LAST, 1], ['lseek', 0, LAST, HOLE]),
  ),
]

const dupRows: readonly Row[] = [
  same('dup', 'a bad descriptor', '-EBADF', [['dup', 0]]),
  same('dup', 'a descriptor that was closed', '-EBADF', file(['close', 0], ['dup', 0])),
  same('close', 'a bad descriptor', '-EBADF', [['close', 0]]),
  same('close', 'once more', '-EBADF', file(['close', 0], ['close', 0])),
  same(
    'fstat',
    'of a descriptor whose duplicate was closed',
    0,
    file(['dup', 0], ['close', 1], ['fstat', 0]),
  ),
  same(
    'read',
    'at the position that a write through a duplicate left',
    0,
    file(['dup', 0], ['write', 1, 8192, 1], ['read', 0, 1]),
  ),
]

export const fileRows: readonly Row[] = [
  ...ftruncateRows,
  ...fallocateRows,
  ...transferRows,
  ...dupRows,
]
