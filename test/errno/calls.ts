/** mprotect, mlock, madvise and mincore, and what can be done with secret memory. */
import { sysFtruncate } from '../../src/kernel/fs/open.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import {
  userMadvise,
  userMincore,
  userMlock,
  userMmap,
  userMprotect,
  userMunlock,
  userMunmap,
  userPinLongterm,
  userVmsplice,
} from '../../src/user/memory.js'
import { type Call, differs, type Row, same } from './row.js'

const READ = 1
const WRITE = 2
const GROWSDOWN = 0x01000000
const GROWSUP = 0x02000000
const SHARED = 1
const PRIVATE = 2
const ANONYMOUS = 0x20
const PAGE = 4096n
/** An address at which nothing is mapped. */
const NOWHERE = 0x20000

/** A memfd of two pages and a mapping of it, of so many pages. */
function mapped(call: Call, prot = READ | WRITE, flags = SHARED, pages = 2n): number {
  const fd = call(sysMemfdCreate, 0)
  call(sysFtruncate, fd, 2n * PAGE)
  return call(userMmap, fd, prot, flags, pages * PAGE, 0n, 0)
}

const anonymous = (call: Call): number =>
  call(userMmap, -1, READ | WRITE, PRIVATE | ANONYMOUS, PAGE, 0n, 0)

/** The same mapping, locked. */
function locked(call: Call): number {
  const at = mapped(call)
  call(userMlock, at, 2n * PAGE, 0n)
  return at
}

const HUGETLB = 4
const NORESERVE = 0x4000
const HUGE_PAGE = 1n << 21n

/** A mapping of one huge page, of which the machine has none. */
function huge(call: Call, flags = SHARED): number {
  const fd = call(sysMemfdCreate, HUGETLB)
  call(sysFtruncate, fd, HUGE_PAGE)
  return call(userMmap, fd, READ | WRITE, flags | NORESERVE, HUGE_PAGE, 0n, 0)
}

/** The same, which the process has tried to lock. */
function hugeLocked(call: Call): number {
  const at = huge(call)
  call(userMlock, at, HUGE_PAGE, 0n)
  return at
}

const behind = (call: Call): number => huge(call) + 4096

const advice = (
  condition: string,
  answer: string | number,
  number: number,
  at: (call: Call) => number,
  size = PAGE,
): Row =>
  same('madvise', condition, answer, (call) => call(userMadvise, at(call), size, number, 0n))

const DONTNEED = 4
const FREE = 8
const REMOVE = 9
const COLD = 20
const PAGEOUT = 21
const HUGEPAGE = 14
const NOHUGEPAGE = 15
const POPULATE_READ = 22
const POPULATE_WRITE = 23
const COLLAPSE = 25

const hugeRows: readonly Row[] = [
  same('mlock', 'huge pages, of which there is none', '-ENOMEM', (call) =>
    call(userMlock, huge(call), HUGE_PAGE, 0n),
  ),
  same('mlock', 'a part of a huge page', '-ENOMEM', (call) =>
    call(userMlock, behind(call), PAGE, 0n),
  ),
  same('munlock', 'huge pages', 0, (call) => call(userMunlock, hugeLocked(call), HUGE_PAGE, 0n)),
  same('munmap', 'a part of a huge page', '-EINVAL', (call) =>
    call(userMunmap, huge(call), PAGE, 0n),
  ),
  same('mprotect', 'a part of a huge page', '-EINVAL', (call) =>
    call(userMprotect, behind(call), PAGE, READ, 0n),
  ),
  same('mprotect', 'a part of a huge page, to what it is', 0, (call) =>
    call(userMprotect, behind(call), PAGE, READ | WRITE, 0n),
  ),
  advice('MADV_DONTNEED of huge pages after mlock', 0, DONTNEED, hugeLocked, HUGE_PAGE),
  advice('MADV_DONTNEED of less than a huge page', 0, DONTNEED, huge),
  advice('MADV_DONTNEED within a huge page', '-EINVAL', DONTNEED, behind),
  advice('MADV_REMOVE of huge pages after mlock', 0, REMOVE, hugeLocked, HUGE_PAGE),
  advice('MADV_FREE of huge pages', '-EINVAL', FREE, huge, HUGE_PAGE),
  advice('MADV_COLD of huge pages', '-EINVAL', COLD, huge, HUGE_PAGE),
  advice('MADV_PAGEOUT of huge pages', '-EINVAL', PAGEOUT, huge, HUGE_PAGE),
  advice('MADV_COLLAPSE of huge pages', '-EINVAL', COLLAPSE, huge, HUGE_PAGE),
  advice('MADV_POPULATE_READ of huge pages', '-EFAULT', POPULATE_READ, huge, HUGE_PAGE),
  advice('MADV_POPULATE_WRITE of huge pages', '-EFAULT', POPULATE_WRITE, huge, HUGE_PAGE),
]

const madviseRows: readonly Row[] = [
  advice('advice that there is not', '-EINVAL', 7, mapped),
  advice('an unaligned address', '-EINVAL', DONTNEED, (call) => mapped(call) + 1),
  advice('a length that wraps', '-EINVAL', DONTNEED, mapped, -PAGE),
  advice('length 0 of what is not mapped', 0, DONTNEED, () => NOWHERE, 0n),
  advice('what is not mapped', '-ENOMEM', DONTNEED, () => NOWHERE),
  advice('MADV_DONTNEED of locked memory', '-EINVAL', DONTNEED, locked),
  advice('MADV_FREE of a file', '-EINVAL', FREE, mapped),
  advice('MADV_FREE of anonymous memory', 0, FREE, anonymous),
  advice('MADV_REMOVE of locked memory', '-EINVAL', REMOVE, locked),
  advice('MADV_REMOVE of anonymous memory', '-EINVAL', REMOVE, anonymous),
  advice('MADV_REMOVE of a private mapping', '-EACCES', REMOVE, (call) =>
    mapped(call, READ | WRITE, PRIVATE),
  ),
  differs('madvise', 'MADV_REMOVE of a shared mapping that is read-only', '-EACCES', 0, (call) =>
    call(userMadvise, mapped(call, READ), PAGE, REMOVE, 0n),
  ),
  advice('MADV_HUGEPAGE of a file', 0, HUGEPAGE, mapped),
  advice('MADV_HUGEPAGE of what is not mapped', '-ENOMEM', HUGEPAGE, () => NOWHERE),
  advice('MADV_NOHUGEPAGE of a file', 0, NOHUGEPAGE, mapped),
  advice('MADV_COLLAPSE of a mapping of less than 2 MiB', '-EINVAL', COLLAPSE, mapped),
  advice('MADV_COLLAPSE of what is not mapped', '-ENOMEM', COLLAPSE, () => NOWHERE),
  advice('MADV_COLLAPSE, length 0', 0, COLLAPSE, mapped, 0n),
  advice('MADV_COLD of locked memory', '-EINVAL', COLD, locked),
  advice('MADV_PAGEOUT of locked memory', '-EINVAL', PAGEOUT, locked),
  advice(
    'MADV_POPULATE_READ behind the end of the file',
    '-EFAULT',
    POPULATE_READ,
    (call) => mapped(call, READ, SHARED, 3n),
    3n * PAGE,
  ),
  advice('MADV_POPULATE_READ of what is not mapped', '-ENOMEM', POPULATE_READ, () => NOWHERE),
  advice('MADV_POPULATE_WRITE of a read-only mapping', '-EINVAL', POPULATE_WRITE, (call) =>
    mapped(call, READ),
  ),
  advice('MADV_POPULATE_READ of a mapping without rights', '-EINVAL', POPULATE_READ, (call) =>
    mapped(call, 0),
  ),
]

const mprotectRows: readonly Row[] = [
  same('mprotect', 'an unaligned address', '-EINVAL', (call) =>
    call(userMprotect, mapped(call) + 1, PAGE, READ, 0n),
  ),
  same('mprotect', 'length 0 of what is not mapped', 0, (call) =>
    call(userMprotect, NOWHERE, 0n, READ, 0n),
  ),
  same('mprotect', 'a length that wraps', '-ENOMEM', (call) =>
    call(userMprotect, mapped(call), -PAGE, READ, 0n),
  ),
  same('mprotect', 'what is not mapped', '-ENOMEM', (call) =>
    call(userMprotect, NOWHERE, PAGE, READ, 0n),
  ),
  same(
    'mprotect',
    'PROT_GROWSDOWN of what is mapped, but not from its begin on',
    '-EINVAL',
    (call) => call(userMprotect, mapped(call) - 4096, 2n * PAGE, READ | GROWSDOWN, 0n),
    'read',
  ),
  same(
    'mprotect',
    'the same with PROT_GROWSUP',
    '-ENOMEM',
    (call) => call(userMprotect, mapped(call) - 4096, 2n * PAGE, READ | GROWSUP, 0n),
    'read',
  ),
]

const mlockRows: readonly Row[] = [
  same('mlock', 'what is not mapped', '-ENOMEM', (call) => call(userMlock, NOWHERE, PAGE, 0n)),
  same('mlock', 'a mapping that reaches behind the end of the file', '-ENOMEM', (call) =>
    call(userMlock, mapped(call, READ, SHARED, 3n), 3n * PAGE, 0n),
  ),
  same('mlock', 'a mapping without rights', '-ENOMEM', (call) =>
    call(userMlock, mapped(call, 0), PAGE, 0n),
  ),
  same('mlock', 'an unaligned address', 0, (call) => call(userMlock, mapped(call) + 1, 1n, 0n)),
  same('munlock', 'what is not mapped', '-ENOMEM', (call) => call(userMunlock, NOWHERE, PAGE, 0n)),
]

const otherRows: readonly Row[] = [
  same('mincore', 'an unaligned address', '-EINVAL', (call) => call(userMincore, mapped(call), 1n)),
  same('mincore', 'what is not mapped', '-ENOMEM', (call) => call(userMincore, NOWHERE, 0n)),
  same('mincore', 'a hole', 0, (call) => call(userMincore, mapped(call), 0n)),
  same('munmap', 'an unaligned address', '-EINVAL', (call) =>
    call(userMunmap, mapped(call) + 1, PAGE, 0n),
  ),
  same('munmap', 'length 0', '-EINVAL', (call) => call(userMunmap, mapped(call), 0n, 0n)),
  same('munmap', 'what is not mapped', 0, (call) => call(userMunmap, NOWHERE, PAGE, 0n)),
]

const secretRows: readonly Row[] = [
  same('memfd_secret', 'flags 0', 'fd', [['memfd_secret', 0]]),
  same('memfd_secret', 'O_CLOEXEC', 'fd', [['memfd_secret', 0o2000000]]),
  same('memfd_secret', 'another flag', '-EINVAL', [['memfd_secret', 1]]),
  same('ftruncate', 'of secret memory, a second size', '-EINVAL', [
    ['memfd_secret', 0],
    ['ftruncate', 0, 100],
    ['ftruncate', 0, 100],
  ]),
  same('ftruncate', 'of secret memory, size 0 and then another', 0, [
    ['memfd_secret', 0],
    ['ftruncate', 0, 0],
    ['ftruncate', 0, 100],
  ]),
  same('fallocate', 'of secret memory', '-EOPNOTSUPP', [
    ['memfd_secret', 0],
    ['fallocate', 0, 0, 0, 4096],
  ]),
  same('lseek', 'of secret memory', '-ESPIPE', [
    ['memfd_secret', 0],
    ['lseek', 0, 0, 0],
  ]),
  same('pread', 'of secret memory', '-ESPIPE', [
    ['memfd_secret', 0],
    ['pread', 0, 0, 1],
  ]),
  same('fcntl(F_GET_SEALS)', 'of secret memory', '-EINVAL', [
    ['memfd_secret', 0],
    ['fcntl_get_seals', 0],
  ]),
  same('fcntl(F_ADD_SEALS)', 'of secret memory', '-EINVAL', [
    ['memfd_secret', 0],
    ['fcntl_add_seals', 0, 2],
  ]),
  same('mmap', 'secret memory, private', '-EINVAL', [
    ['memfd_secret', 0],
    ['ftruncate', 0, 4096],
    ['mmap', 0, 3, PRIVATE, 4096, 0],
  ]),
  same('mmap', 'secret memory, executable', '-EPERM', [
    ['memfd_secret', 0],
    ['ftruncate', 0, 4096],
    ['mmap', 0, 5, SHARED, 4096, 0],
  ]),
]

/** Who keeps a page of the process: a pipe, a device. */
const keepRows: readonly Row[] = [
  same(
    'vmsplice',
    'nothing is mapped there',
    '-EFAULT',
    (c) => c(userVmsplice, NOWHERE, 0n),
    'read',
  ),
  same('vmsplice', 'not readable', '-EFAULT', (c) => c(userVmsplice, mapped(c, 0), 0n), 'read'),
  same(
    'PIN_LONGTERM_TEST_START',
    'an unknown flag, at an unaligned address',
    '-EINVAL',
    (c) => c(userPinLongterm, mapped(c), 1n, 4),
    'read',
  ),
  same(
    'PIN_LONGTERM_TEST_START',
    'to write what is only read',
    '-EFAULT',
    (c) => c(userPinLongterm, mapped(c, READ), 0n, 1),
    'read',
  ),
]

export const callRows: readonly Row[] = [
  ...hugeRows,
  ...madviseRows,
  ...mprotectRows,
  ...mlockRows,
  ...otherRows,
  ...secretRows,
  ...keepRows,
]
