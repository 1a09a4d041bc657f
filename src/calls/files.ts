/** Calls on files: how they come, what is read and written, what seals forbid. */
import { sysDup } from '../kernel/fs/fcntl.js'
import { sysClose } from '../kernel/fs/file_table.js'
import { openTmpfs, TMPFS_REGULAR } from '../kernel/fs/namei.js'
import { sysFallocate, sysFtruncate } from '../kernel/fs/open.js'
import { sysLseek, sysPread, sysPwrite, sysRead, sysWrite } from '../kernel/fs/read_write.js'
import { STAT_NOTHING, sysFstat, sysFstatfs } from '../kernel/fs/stat.js'
import { sysFdatasync, sysFsync } from '../kernel/fs/sync.js'
import { FALLOC_FL_PUNCH_HOLE, MFD_HUGETLB } from '../kernel/include/uapi.js'
import { sysFcntlAddSeals, sysFcntlGetSeals, sysMemfdCreate } from '../kernel/mm/memfd.js'
import { sysMemfdRestricted } from '../kernel/mm/restrictedmem.js'
import { sysMemfdSecret } from '../kernel/mm/secretmem.js'
import { privateMemory } from '../user/vmm.js'
import { type Arguments, bytes, call, count, fd, hidden, number, vm } from './call.js'

/** Bytes that one call may allocate on a running host. */
const MAX_ALLOCATION = 1n << 20n
const MAX_OFFSET = (1n << 63n) - 1n

function refuseTransfer({ length = 0n }: Arguments): string | undefined {
  return length < 0n || length > MAX_ALLOCATION ? 'not 0 to 1 MiB' : undefined
}

/** Whether fallocate() could take too much; beyond the largest offset it takes nothing. */
function refuseAllocation({ mode = 0n, offset = 0n, size = 0n }: Arguments): string | undefined {
  const harmless = (mode & BigInt(FALLOC_FL_PUNCH_HOLE)) !== 0n || size <= MAX_ALLOCATION
  return harmless || offset + size > MAX_OFFSET ? undefined : 'more than 1 MiB'
}

export const FILE_CALLS = {
  memfd_restricted: call(sysMemfdRestricted, [number('flags', 0)], 'A restricted file.'),
  memfd_create: call(sysMemfdCreate, [number('flags', 0)], 'A tmpfs file without a name.', {
    was: 'create',
    makes: 'file',
    refuse: ({ flags = 0n }) =>
      (flags & BigInt(MFD_HUGETLB)) !== 0n ? 'huge pages are scarce' : undefined,
  }),
  memfd_secret: call(sysMemfdSecret, [number('flags', 0)], 'A file that only mappings reach.', {
    was: 'secret',
    makes: 'file',
  }),
  private_memory: call(privateMemory, [vm, bytes('size')], 'A file of private memory.'),
  open_tmpfs: call(
    openTmpfs,
    [number('kind', TMPFS_REGULAR)],
    'An object on tmpfs or devtmpfs: REGULAR, DIRECTORY, FIFO or DEVICE.',
  ),
  dup: call(sysDup, [fd], 'dup(2): another descriptor of the same open file.', {
    nr: 32,
    makes: 'file',
  }),
  close: call(sysClose, [fd], 'close(2), of a file or a VM.', { nr: 3 }),
  ftruncate: call(sysFtruncate, [fd, bytes('length')], 'ftruncate(2).', { nr: 77, was: 'trunc' }),
  fallocate: call(
    sysFallocate,
    [fd, number('mode'), bytes('offset'), bytes('size')],
    'fallocate(2).',
    { nr: 285, was: 'falloc', refuse: refuseAllocation },
  ),
  pread: call(sysPread, [fd, bytes('offset'), count('length')], 'pread(2): how much.', {
    reads: true,
    refuse: refuseTransfer,
  }),
  pwrite: call(
    sysPwrite,
    [fd, bytes('offset'), count('length'), number('byte')],
    'pwrite(2) of one byte repeated.',
    { refuse: refuseTransfer },
  ),
  read: call(sysRead, [fd, count('length')], 'read(2): how much.', {
    reads: true,
    refuse: refuseTransfer,
  }),
  write: call(sysWrite, [fd, count('length'), number('byte')], 'write(2).', {
    refuse: refuseTransfer,
  }),
  lseek: call(sysLseek, [fd, bytes('offset'), number('whence')], 'lseek(2).', { nr: 8 }),
  fstat: call(
    sysFstat,
    [fd, hidden(number('field', STAT_NOTHING))],
    'fstat(2): 0, or one field: BLOCKS, SIZE_IN_PAGES or MODE.',
    {},
  ),
  fstatfs: call(sysFstatfs, [fd], 'fstatfs(2): the magic number.'),
  fsync: call(sysFsync, [fd], 'fsync(2).', { nr: 74 }),
  fdatasync: call(sysFdatasync, [fd], 'fdatasync(2).', { nr: 75 }),
  fcntl_get_seals: call(sysFcntlGetSeals, [fd], 'fcntl(F_GET_SEALS).', { was: 'getseals' }),
  fcntl_add_seals: call(sysFcntlAddSeals, [fd, number('seals')], 'fcntl(F_ADD_SEALS).', {
    was: 'seal',
  }),
} as const
