/** Calls of KVM, those that most scenarios make in a shorter form, and what a guest does. */
import { guestRead, guestWrite } from '../kernel/arch/x86/kvm/guest.js'
import { KVM_X86_SW_PROTECTED_VM } from '../kernel/include/uapi.js'
import {
  sysKvmCheckExtension,
  sysKvmCreateGuestMemfd,
  sysKvmPreFaultMemory,
} from '../kernel/virt/kvm/guest_memfd.js'
import { sysKvmCreateVm } from '../kernel/virt/kvm/kvm_main.js'
import { sysKvmSetMemoryAttributes } from '../kernel/virt/kvm/memory_attributes.js'
import { sysKvmCreateVcpu } from '../kernel/virt/kvm/vcpu_file.js'
import {
  confidentialVm,
  guestAccept,
  guestApCreate,
  guestApDestroy,
  guestConvert,
  guestConvertPages,
  guestPsc,
  launch,
  launchUpdate,
} from '../user/confidential.js'
import {
  bindSlot,
  plainSlot,
  setAttributes2,
  setRegion,
  setRegion2,
  slotOver,
  unbindSlot,
} from '../user/vmm.js'
import {
  type Arguments,
  address,
  bytes,
  call,
  fd,
  hidden,
  length,
  number,
  offset,
  vm,
} from './call.js'

const MAX_SLOT = 1n << 24n
/** KVM_MEM_MAX_NR_PAGES is 2^31 - 1. */
const REFUSED_SLOT = 1n << 43n

/** KVM allocates a description of every page of a slot, unless there are more than it accepts. */
function refuseSlot({ size = 0n }: Arguments): string | undefined {
  return size > MAX_SLOT && size < REFUSED_SLOT ? 'more than 16 MiB' : undefined
}

const slot = number('slot')
const gpa = bytes('gpa')
const size = bytes('size')

export const KVM_CALLS = {
  kvm_create_vm: call(
    sysKvmCreateVm,
    [number('type', KVM_X86_SW_PROTECTED_VM)],
    'KVM_CREATE_VM: DEFAULT or SW_PROTECTED.',
    { makes: 'file', refuse: ({ type }) => (type === 0n ? undefined : 'only VMs of type 0') },
  ),
  create_vcpu: call(
    sysKvmCreateVcpu,
    [vm],
    'KVM_CREATE_VCPU, the one of this task: its descriptor keeps the VM.',
  ),
  bind: call(
    bindSlot,
    [vm, slot, gpa, size, fd, bytes('offset', 0)],
    'A private memslot on part of a file.',
  ),
  plain_slot: call(
    plainSlot,
    [vm, slot, gpa, size],
    'A memslot without private memory, or the same slot with its flags cleared.',
  ),
  slot_over: call(
    slotOver,
    [vm, slot, gpa, size, address],
    'A memslot over memory of the process, at an address of mmap.',
  ),
  unbind: call(unbindSlot, [vm, slot], 'Delete a memslot.', { was: 'delete' }),
  kvm_set_user_memory_region: call(
    setRegion,
    [vm, slot, number('flags'), gpa, length('size'), { ...address, name: 'uaddr' }, offset],
    'KVM_SET_USER_MEMORY_REGION.',
    { refuse: refuseSlot },
  ),
  kvm_set_user_memory_region2: call(
    setRegion2,
    [
      vm,
      slot,
      number('flags'),
      gpa,
      size,
      hidden({ ...address, name: 'uaddr', preset: 0 }),
      { ...fd, preset: -1 },
      bytes('offset', 0),
    ],
    'KVM_SET_USER_MEMORY_REGION2.',
    { was: 'bind', refuse: refuseSlot },
  ),
  set_attributes: call(
    sysKvmSetMemoryAttributes,
    [vm, gpa, size, bytes('attributes'), bytes('flags', 0)],
    'KVM_SET_MEMORY_ATTRIBUTES.',
  ),
  kvm_set_memory_attributes: call(
    sysKvmSetMemoryAttributes,
    [vm, gpa, size, bytes('attributes'), bytes('flags', 0)],
    "The same under the kernel's name.",
  ),
  set_attributes2: call(
    setAttributes2,
    [fd, bytes('offset'), size, bytes('attributes'), bytes('flags', 0), hidden(number('field', 0))],
    'KVM_SET_MEMORY_ATTRIBUTES2 of a guest_memfd: 0 or an error, or with ERROR_OFFSET where.',
  ),
  kvm_create_guest_memfd: call(
    sysKvmCreateGuestMemfd,
    [vm, size, bytes('flags', 0)],
    'KVM_CREATE_GUEST_MEMFD.',
    { was: 'gmem', makes: 'file' },
  ),
  kvm_pre_fault_memory: call(
    sysKvmPreFaultMemory,
    [vm, gpa, size, bytes('flags', 0)],
    "KVM_PRE_FAULT_MEMORY, of the task's vCPU.",
  ),
  kvm_check_extension: call(
    sysKvmCheckExtension,
    [number('capability'), { ...vm, preset: -1 }],
    'KVM_CHECK_EXTENSION, of a VM or of /dev/kvm.',
  ),
  confidential_vm: call(
    confidentialVm,
    [],
    'A VM of the kind whose memory the host protects, before it has any.',
  ),
  launch_update: call(
    launchUpdate,
    [vm, gpa, size, bytes('uaddr', 0), number('type', 1)],
    'Its memory begins with this: KVM_SEV_SNP_LAUNCH_UPDATE, KVM_TDX_INIT_MEM_REGION.',
  ),
  launch: call(launch, [vm], 'Its launch is finished: it can run.'),
  guest_accept: call(
    guestAccept,
    [vm, gpa],
    "The guest takes a private page into use: 0, or its instruction's code.",
  ),
  guest_ap_create: call(
    guestApCreate,
    [vm, gpa, number('target', -1)],
    "The guest makes a page the save area of a vCPU, by its number, or of the task's: 0, or a code.",
  ),
  guest_ap_destroy: call(
    guestApDestroy,
    [vm, number('target', -1)],
    'The guest has a vCPU run no more: 0 or -EINVAL. It returns -EINTR from then on.',
  ),
  guest_convert: call(
    guestConvert,
    [vm, gpa, number('attributes')],
    'The guest makes a page PRIVATE, or with 0 shared, and the VMM does as asked.',
  ),
  guest_convert_pages: call(
    guestConvertPages,
    [vm, bytes('ghcb'), gpa, size, number('attributes')],
    'The same of many pages in one request, by the GHCB at this address.',
  ),
  guest_psc: call(
    guestPsc,
    [vm, bytes('ghcb'), bytes('scratch'), bytes('length', 0), number('answered', 1)],
    'The guest sends the page state changes of a buffer, as it is, to a VMM that does as asked, or, with 0, never comes back: 0, or what the guest is told.',
  ),
  guest_write: call(guestWrite, [vm, gpa, number('byte')], 'The guest writes a byte.'),
  guest_read: call(guestRead, [vm, gpa], 'The guest reads a byte.'),
} as const
