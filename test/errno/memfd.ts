/** memfd_create and the seals. */
import type { Op } from '../../src/conform/program.js'
import { memfdCreateNamed } from '../../src/kernel/mm/memfd.js'
import { differs, type Row, same } from './row.js'

const create = 'memfd_create'
const add = 'fcntl(F_ADD_SEALS)'
const SHARED = 1
const PRIVATE = 2
const READ = 1
const READ_WRITE = 3

/** A memfd of two pages that can be sealed, then more. */
const sealable = (...then: readonly Op[]): readonly Op[] => [
  ['memfd_create', 2],
  ['ftruncate', 0, 8192],
  ...then,
]

const MIB2 = 1n << 21n
const huge = (...then: readonly Op[]): readonly Op[] => [['memfd_create', 4 | 2], ...then]

/** A machine that has no huge pages in reserve. */
const hugeRows: readonly Row[] = [
  same(create, 'MFD_HUGETLB', 'fd', huge()),
  same(create, 'MFD_HUGETLB of 1 GiB', 'fd', [['memfd_create', 4 | (30 << 26)]]),
  same(
    'fcntl(F_GET_SEALS)',
    'of huge pages, with MFD_ALLOW_SEALING',
    0,
    huge(['fcntl_get_seals', 0]),
  ),
  same(
    'ftruncate',
    'of huge pages, not to a multiple of one',
    '-EINVAL',
    huge(['ftruncate', 0, 4096]),
  ),
  same('ftruncate', 'of huge pages, to a multiple of one', 0, huge(['ftruncate', 0, MIB2])),
  same('pread', 'of huge pages, a hole', 4096, huge(['ftruncate', 0, MIB2], ['pread', 0, 0, 4096])),
  same('pwrite', 'of huge pages', '-EINVAL', huge(['ftruncate', 0, MIB2], ['pwrite', 0, 0, 1, 1])),
  same(
    'lseek',
    'of huge pages, SEEK_DATA in a hole',
    0,
    huge(['ftruncate', 0, MIB2], ['lseek', 0, 0, 3]),
  ),
  same('fallocate', 'of huge pages without any', '-ENOSPC', huge(['fallocate', 0, 0, 0, 4096])),
  same(
    'fallocate',
    'of huge pages, PUNCH_HOLE',
    0,
    huge(['ftruncate', 0, MIB2], ['fallocate', 0, 3, 0, 4096]),
  ),
  same(
    'mmap',
    'of huge pages without any',
    '-ENOMEM',
    huge(['ftruncate', 0, MIB2], ['mmap', 0, 3, 1, MIB2, 0]),
  ),
  same(
    'mmap',
    'of huge pages at an offset within one',
    '-EINVAL',
    huge(['ftruncate', 0, MIB2], ['mmap', 0, 3, 1, MIB2, 4096]),
  ),
  same(
    'mmap',
    'of huge pages with MAP_NORESERVE',
    'map',
    huge(['ftruncate', 0, MIB2], ['mmap', 0, 3, 0x4001, MIB2, 0]),
  ),
  same(
    'load',
    'of huge pages without any',
    '-EFAULT',
    huge(['ftruncate', 0, MIB2], ['mmap', 0, 3, 0x4001, MIB2, 0], ['load', 0, 0]),
  ),
  same(
    add,
    'F_SEAL_WRITE of huge pages with a mapping',
    '-EBUSY',
    huge(['ftruncate', 0, MIB2], ['mmap', 0, 3, 0x4001, MIB2, 0], ['fcntl_add_seals', 0, 8]),
  ),
  same(
    'ftruncate',
    'of huge pages, smaller with F_SEAL_SHRINK',
    '-EPERM',
    huge(['ftruncate', 0, MIB2], ['fcntl_add_seals', 0, 2], ['ftruncate', 0, 0]),
  ),
]

export const memfdRows: readonly Row[] = [
  same(create, 'flags 0', 'fd', [['memfd_create', 0]]),
  same(create, 'an unknown flag', '-EINVAL', [['memfd_create', 0x100]]),
  differs(create, 'MFD_NOEXEC_SEAL', '-EINVAL', 'fd', [['memfd_create', 8]]),
  differs(create, 'MFD_EXEC', '-EINVAL', 'fd', [['memfd_create', 0x10]]),
  same(create, 'MFD_EXEC and MFD_NOEXEC_SEAL', '-EINVAL', [['memfd_create', 0x18]]),
  same(create, 'bits of a huge page size, not MFD_HUGETLB', '-EINVAL', [
    ['memfd_create', 21 << 26],
  ]),
  same(create, 'MFD_HUGETLB of 16 KiB, which there is not', '-ENODEV', [
    ['memfd_create', 4 | (14 << 26)],
  ]),
  same(create, 'the name is a bad pointer', '-EFAULT', (call) => call(memfdCreateNamed, -1, 0)),
  same(create, 'a name of 250 bytes', '-EINVAL', (call) => call(memfdCreateNamed, 250, 0)),
  same(create, 'a name of 249 bytes', 0, (call) => call(memfdCreateNamed, 249, 0)),
  same(create, 'an unknown flag and a bad name pointer', '-EINVAL', (call) =>
    call(memfdCreateNamed, -1, 0x100),
  ),

  same('fcntl(F_GET_SEALS)', 'of a memfd as created', 1, [
    ['memfd_create', 0],
    ['fcntl_get_seals', 0],
  ]),
  same('fcntl(F_GET_SEALS)', 'with MFD_ALLOW_SEALING', 0, [
    ['memfd_create', 2],
    ['fcntl_get_seals', 0],
  ]),
  same(add, 'a bad descriptor', '-EBADF', [['fcntl_add_seals', 0, 2]]),
  same(add, 'an unknown seal', '-EINVAL', [
    ['memfd_create', 2],
    ['fcntl_add_seals', 0, 64],
  ]),
  differs(add, 'F_SEAL_EXEC', '-EINVAL', 0, [
    ['memfd_create', 2],
    ['fcntl_add_seals', 0, 32],
  ]),
  same(add, 'sealed with F_SEAL_SEAL', '-EPERM', [
    ['memfd_create', 0],
    ['fcntl_add_seals', 0, 2],
  ]),
  same(add, 'an unknown seal, sealed with F_SEAL_SEAL', '-EINVAL', [
    ['memfd_create', 0],
    ['fcntl_add_seals', 0, 64],
  ]),
  same(
    add,
    'F_SEAL_WRITE with a mapping that is shared and writable',
    '-EBUSY',
    sealable(['mmap', 0, READ_WRITE, SHARED, 4096, 0], ['fcntl_add_seals', 0, 8]),
  ),
  same(
    add,
    'F_SEAL_WRITE with a shared mapping that is read-only but could be made writable',
    '-EBUSY',
    sealable(['mmap', 0, READ, SHARED, 4096, 0], ['fcntl_add_seals', 0, 8]),
  ),
  same(
    add,
    'F_SEAL_WRITE with a private mapping',
    0,
    sealable(['mmap', 0, READ_WRITE, PRIVATE, 4096, 0], ['fcntl_add_seals', 0, 8]),
  ),
  same(
    add,
    'F_SEAL_WRITE when the writable mapping is gone',
    0,
    sealable(['mmap', 0, READ_WRITE, SHARED, 4096, 0], ['munmap', 0], ['fcntl_add_seals', 0, 8]),
  ),
  same(
    add,
    'F_SEAL_FUTURE_WRITE with a writable mapping',
    0,
    sealable(['mmap', 0, READ_WRITE, SHARED, 4096, 0], ['fcntl_add_seals', 0, 16]),
  ),
  differs(
    add,
    'F_SEAL_EXEC of an executable memfd with a writable mapping',
    '-EINVAL',
    '-EBUSY',
    sealable(['mmap', 0, READ_WRITE, SHARED, 4096, 0], ['fcntl_add_seals', 0, 32]),
  ),
  same('fcntl(F_GET_SEALS)', 'after F_SEAL_SHRINK|GROW was refused for a mapping', 0, [
    ...sealable(['mmap', 0, READ_WRITE, SHARED, 4096, 0]),
    ['fcntl_add_seals', 0, 8 | 2],
    ['fcntl_get_seals', 0],
  ]),
  {
    call: 'fcntl(F_GET_SEALS)',
    condition: 'after F_SEAL_EXEC of an executable memfd',
    answer: { '6.18': 0x3e },
    source: { '6.18': 'live' },
    ops: sealable(['fcntl_add_seals', 0, 32], ['fcntl_get_seals', 0]),
  },
  {
    call: 'fcntl(F_GET_SEALS)',
    condition: 'with MFD_NOEXEC_SEAL',
    answer: { '6.18': 0x20 },
    source: { '6.18': 'live' },
    ops: [
      ['memfd_create', 8],
      ['fcntl_get_seals', 0],
    ],
  },
  ...hugeRows,
]
