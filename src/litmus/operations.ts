/** The operations that a scenario can name, with their parameters and what they run. */

import { guestRead, guestWrite } from '../kernel/arch/x86/kvm/guest.js'
import { dropCaches } from '../kernel/fs/drop_caches.js'
import { sysClose } from '../kernel/fs/file_table.js'
import {
  DEVTMPFS_DEVICE,
  openTmpfs,
  TMPFS_DIRECTORY,
  TMPFS_FIFO,
  TMPFS_REGULAR,
} from '../kernel/fs/namei.js'
import { sysFallocate, sysFtruncate } from '../kernel/fs/open.js'
import { sysLseek, sysPread, sysPwrite, sysRead, sysWrite } from '../kernel/fs/read_write.js'
import {
  STAT_BLOCKS,
  STAT_MODE,
  STAT_NOTHING,
  STAT_SIZE_PAGES,
  sysFstat,
  sysFstatfs,
} from '../kernel/fs/stat.js'
import { sysFsync } from '../kernel/fs/sync.js'
import * as uapi from '../kernel/include/uapi.js'
import { compact } from '../kernel/mm/compaction.js'
import { sysFcntlAddSeals, sysFcntlGetSeals, sysMemfdCreate } from '../kernel/mm/memfd.js'
import { sysMemfdRestricted } from '../kernel/mm/restrictedmem.js'
import { sysMemfdSecret } from '../kernel/mm/secretmem.js'
import { sysSwapon } from '../kernel/mm/swapon.js'
import {
  sysKvmCheckExtension,
  sysKvmCreateGuestMemfd,
  sysKvmPreFaultMemory,
} from '../kernel/virt/kvm/guest_memfd.js'
import { sysKvmCreateVm } from '../kernel/virt/kvm/kvm_main.js'
import { sysKvmSetMemoryAttributes } from '../kernel/virt/kvm/memory_attributes.js'
import {
  sysKvmSetUserMemoryRegion,
  sysKvmSetUserMemoryRegion2,
} from '../kernel/virt/kvm/memslots.js'
import type { FnTag } from '../machine/fn.js'
import { userLoadAt, userStoreAt } from '../user/access.js'
import { confidentialVm, guestAccept, guestConvert, launch } from '../user/confidential.js'
import {
  userMadvise,
  userMincore,
  userMlock,
  userMmap,
  userMprotect,
  userMunlock,
  userMunmap,
} from '../user/memory.js'
import {
  drainLru,
  memoryFailureOp,
  migratePage,
  offlineMemory,
  softOfflineOp,
  unpoisonOp,
} from '../user/pages.js'
import { bindSlot, plainSlot, privateMemory, slotOver, unbindSlot } from '../user/vmm.js'

/** How a parameter is written, and what the kernel function gets: `bytes` are bigint. */
export type ParameterKind = 'number' | 'bytes'

export interface Parameter {
  readonly name: string
  readonly kind: ParameterKind
  readonly default?: number
}

export interface OperationSpec {
  readonly name: string
  readonly doc: string
  readonly parameters: readonly Parameter[]
  readonly fn: FnTag
}

/** Names that may stand where a number does. */
export const CONSTANTS: Readonly<Record<string, number>> = {
  DEFAULT: uapi.KVM_X86_DEFAULT_VM,
  SW_PROTECTED: uapi.KVM_X86_SW_PROTECTED_VM,
  PRIVATE: uapi.KVM_MEMORY_ATTRIBUTE_PRIVATE,
  KVM_MEM_LOG_DIRTY_PAGES: uapi.KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY: uapi.KVM_MEM_READONLY,
  KVM_MEM_PRIVATE: uapi.KVM_MEM_PRIVATE,
  KVM_MEM_GUEST_MEMFD: uapi.KVM_MEM_GUEST_MEMFD,
  GUEST_MEMFD_FLAG_MMAP: uapi.GUEST_MEMFD_FLAG_MMAP,
  GUEST_MEMFD_FLAG_INIT_SHARED: uapi.GUEST_MEMFD_FLAG_INIT_SHARED,
  KVM_CAP_MEMORY_ATTRIBUTES: uapi.KVM_CAP_MEMORY_ATTRIBUTES,
  KVM_CAP_GUEST_MEMFD: uapi.KVM_CAP_GUEST_MEMFD,
  KVM_CAP_GUEST_MEMFD_FLAGS: uapi.KVM_CAP_GUEST_MEMFD_FLAGS,
  KVM_CAP_VM_TYPES: uapi.KVM_CAP_VM_TYPES,
  KEEP_SIZE: uapi.FALLOC_FL_KEEP_SIZE,
  PUNCH_HOLE: uapi.FALLOC_FL_PUNCH_HOLE,
  COLLAPSE_RANGE: uapi.FALLOC_FL_COLLAPSE_RANGE,
  ZERO_RANGE: uapi.FALLOC_FL_ZERO_RANGE,
  INSERT_RANGE: uapi.FALLOC_FL_INSERT_RANGE,
  UNSHARE_RANGE: uapi.FALLOC_FL_UNSHARE_RANGE,
  MFD_CLOEXEC: uapi.MFD_CLOEXEC,
  MFD_ALLOW_SEALING: uapi.MFD_ALLOW_SEALING,
  MFD_NOEXEC_SEAL: uapi.MFD_NOEXEC_SEAL,
  MFD_EXEC: uapi.MFD_EXEC,
  F_SEAL_SEAL: uapi.F_SEAL_SEAL,
  F_SEAL_SHRINK: uapi.F_SEAL_SHRINK,
  F_SEAL_GROW: uapi.F_SEAL_GROW,
  F_SEAL_WRITE: uapi.F_SEAL_WRITE,
  F_SEAL_FUTURE_WRITE: uapi.F_SEAL_FUTURE_WRITE,
  F_SEAL_EXEC: uapi.F_SEAL_EXEC,
  SEEK_SET: uapi.SEEK_SET,
  SEEK_CUR: uapi.SEEK_CUR,
  SEEK_END: uapi.SEEK_END,
  SEEK_DATA: uapi.SEEK_DATA,
  SEEK_HOLE: uapi.SEEK_HOLE,
  PROT_READ: uapi.PROT_READ,
  PROT_WRITE: uapi.PROT_WRITE,
  PROT_EXEC: uapi.PROT_EXEC,
  MAP_SHARED: uapi.MAP_SHARED,
  MAP_PRIVATE: uapi.MAP_PRIVATE,
  MAP_ANONYMOUS: uapi.MAP_ANONYMOUS,
  MAP_POPULATE: uapi.MAP_POPULATE,
  MAP_LOCKED: uapi.MAP_LOCKED,
  MADV_DONTNEED: uapi.MADV_DONTNEED,
  MADV_FREE: uapi.MADV_FREE,
  MADV_REMOVE: uapi.MADV_REMOVE,
  MADV_COLD: uapi.MADV_COLD,
  MADV_PAGEOUT: uapi.MADV_PAGEOUT,
  MADV_POPULATE_READ: uapi.MADV_POPULATE_READ,
  MADV_POPULATE_WRITE: uapi.MADV_POPULATE_WRITE,
  MADV_HWPOISON: uapi.MADV_HWPOISON,
  MADV_SOFT_OFFLINE: uapi.MADV_SOFT_OFFLINE,
  ...uapi.SIGNALS,
  REGULAR: TMPFS_REGULAR,
  DIRECTORY: TMPFS_DIRECTORY,
  FIFO: TMPFS_FIFO,
  DEVICE: DEVTMPFS_DEVICE,
  BLOCKS: STAT_BLOCKS,
  SIZE_IN_PAGES: STAT_SIZE_PAGES,
  MODE: STAT_MODE,
}

const number = (name: string, preset?: number): Parameter =>
  preset === undefined ? { name, kind: 'number' } : { name, kind: 'number', default: preset }
const bytes = (name: string, preset?: number): Parameter =>
  preset === undefined ? { name, kind: 'bytes' } : { name, kind: 'bytes', default: preset }

function spec(
  name: string,
  fn: FnTag,
  parameters: readonly Parameter[],
  doc: string,
): OperationSpec {
  return { name, fn, parameters, doc }
}

const fd = number('fd')
const vm = number('vm')
const page = number('page')
const address = number('address')

export const OPERATIONS: readonly OperationSpec[] = [
  spec('memfd_restricted', sysMemfdRestricted, [number('flags', 0)], 'A restricted file.'),
  spec('memfd_create', sysMemfdCreate, [number('flags', 0)], 'A tmpfs file without a name.'),
  spec('memfd_secret', sysMemfdSecret, [number('flags', 0)], 'A file that only mappings reach.'),
  spec('private_memory', privateMemory, [vm, bytes('size')], 'A file of private memory.'),
  spec('open_tmpfs', openTmpfs, [number('kind', TMPFS_REGULAR)], 'An object on tmpfs or devtmpfs.'),
  spec('close', sysClose, [fd], 'close(2), of a file or a VM.'),
  spec('ftruncate', sysFtruncate, [fd, bytes('length')], 'ftruncate(2).'),
  spec(
    'fallocate',
    sysFallocate,
    [fd, number('mode'), bytes('offset'), bytes('size')],
    'fallocate(2).',
  ),
  spec('pread', sysPread, [fd, bytes('offset'), number('length')], 'pread(2): how much.'),
  spec(
    'pwrite',
    sysPwrite,
    [fd, bytes('offset'), number('length'), number('byte')],
    'pwrite(2) of one byte repeated.',
  ),
  spec('read', sysRead, [fd, number('length')], 'read(2): how much.'),
  spec('write', sysWrite, [fd, number('length'), number('byte')], 'write(2).'),
  spec('lseek', sysLseek, [fd, bytes('offset'), number('whence')], 'lseek(2).'),
  spec('fstat', sysFstat, [fd, number('field', STAT_NOTHING)], 'fstat(2): 0, or one field.'),
  spec('fstatfs', sysFstatfs, [fd], 'fstatfs(2): the magic number.'),
  spec(
    'mmap',
    userMmap,
    [fd, number('prot'), number('flags'), bytes('size', 4096), bytes('offset', 0)],
    'mmap(2): the address, or why not.',
  ),
  spec('munmap', userMunmap, [address, bytes('size')], 'munmap(2).'),
  spec(
    'madvise',
    userMadvise,
    [address, bytes('size'), number('advice')],
    'madvise(2), with advice such as MADV_DONTNEED.',
  ),
  spec('mprotect', userMprotect, [address, bytes('size'), number('prot')], 'mprotect(2).'),
  spec('mlock', userMlock, [address, bytes('size')], 'mlock(2).'),
  spec('munlock', userMunlock, [address, bytes('size')], 'munlock(2).'),
  spec('mincore', userMincore, [address, bytes('offset', 0)], 'mincore(2) of one page: 0 or 1.'),
  spec('load', userLoadAt, [address, bytes('offset', 0)], 'Load a byte, or get a signal.'),
  spec(
    'store',
    userStoreAt,
    [address, bytes('offset'), number('byte')],
    'Store a byte: 0, or a signal.',
  ),
  spec('swapon', sysSwapon, [bytes('size')], 'swapon(2) of a RAM disk: a header, then slots.'),
  spec('fsync', sysFsync, [fd], 'fsync(2).'),
  spec('fcntl_get_seals', sysFcntlGetSeals, [fd], 'fcntl(F_GET_SEALS).'),
  spec('fcntl_add_seals', sysFcntlAddSeals, [fd, number('seals')], 'fcntl(F_ADD_SEALS).'),
  spec('kvm_create_vm', sysKvmCreateVm, [number('type', 1)], 'KVM_CREATE_VM.'),
  spec(
    'bind',
    bindSlot,
    [vm, number('slot'), bytes('gpa'), bytes('size'), fd, bytes('offset', 0)],
    'A private memslot on part of a file.',
  ),
  spec(
    'plain_slot',
    plainSlot,
    [vm, number('slot'), bytes('gpa'), bytes('size')],
    'A memslot without private memory, or the same slot with its flags cleared.',
  ),
  spec(
    'slot_over',
    slotOver,
    [vm, number('slot'), bytes('gpa'), bytes('size'), address],
    'A memslot over memory of the process, at an address of mmap.',
  ),
  spec('unbind', unbindSlot, [vm, number('slot')], 'Delete a memslot.'),
  spec(
    'kvm_set_user_memory_region',
    sysKvmSetUserMemoryRegion,
    [vm, number('slot'), number('flags'), bytes('gpa'), bytes('size'), bytes('uaddr')],
    'KVM_SET_USER_MEMORY_REGION.',
  ),
  spec(
    'kvm_set_user_memory_region2',
    sysKvmSetUserMemoryRegion2,
    [
      vm,
      number('slot'),
      number('flags'),
      bytes('gpa'),
      bytes('size'),
      bytes('uaddr'),
      number('fd', -1),
      bytes('offset', 0),
    ],
    'KVM_SET_USER_MEMORY_REGION2.',
  ),
  spec(
    'set_attributes',
    sysKvmSetMemoryAttributes,
    [vm, bytes('gpa'), bytes('size'), bytes('attributes'), bytes('flags', 0)],
    'KVM_SET_MEMORY_ATTRIBUTES.',
  ),
  spec(
    'kvm_set_memory_attributes',
    sysKvmSetMemoryAttributes,
    [vm, bytes('gpa'), bytes('size'), bytes('attributes'), bytes('flags', 0)],
    "The same under the kernel's name.",
  ),
  spec(
    'kvm_create_guest_memfd',
    sysKvmCreateGuestMemfd,
    [vm, bytes('size'), bytes('flags', 0)],
    'KVM_CREATE_GUEST_MEMFD.',
  ),
  spec(
    'kvm_pre_fault_memory',
    sysKvmPreFaultMemory,
    [vm, bytes('gpa'), bytes('size'), bytes('flags', 0)],
    "KVM_PRE_FAULT_MEMORY, of the task's vCPU.",
  ),
  spec(
    'kvm_check_extension',
    sysKvmCheckExtension,
    [number('capability'), number('vm', -1)],
    'KVM_CHECK_EXTENSION, of a VM or of /dev/kvm.',
  ),
  spec('guest_write', guestWrite, [vm, bytes('gpa'), number('byte')], 'The guest writes a byte.'),
  spec('guest_read', guestRead, [vm, bytes('gpa')], 'The guest reads a byte.'),
  spec(
    'confidential_vm',
    confidentialVm,
    [],
    'A VM of the kind whose memory the host protects, before it has any.',
  ),
  spec('launch', launch, [vm], 'Its launch is finished: it can run.'),
  spec(
    'guest_accept',
    guestAccept,
    [vm, bytes('gpa')],
    "The guest takes a private page into use: 0, or its instruction's code.",
  ),
  spec(
    'guest_convert',
    guestConvert,
    [vm, bytes('gpa'), number('attributes')],
    'The guest makes a page PRIVATE, or with 0 shared, and the VMM does as asked.',
  ),
  spec('migrate', migratePage, [fd, page], 'Isolate a page of a file and migrate it.'),
  spec('compact', compact, [], '/proc/sys/vm/compact_memory.'),
  spec('memory_failure', memoryFailureOp, [fd, page], 'Poison the frame of a page.'),
  spec('soft_offline', softOfflineOp, [fd, page], 'Soft offline the frame of a page.'),
  spec('unpoison', unpoisonOp, [fd, page], 'Take an injected poison back.'),
  spec('drain_lru', drainLru, [], 'lru_add_drain_all(): empty the LRU batches of all CPUs.'),
  spec('drop_caches', dropCaches, [], '/proc/sys/vm/drop_caches.'),
  spec('offline_memory', offlineMemory, [fd], 'Offline the memory block of a file.'),
]
