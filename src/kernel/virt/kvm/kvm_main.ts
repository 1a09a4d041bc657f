/**
 * A VM's life: created with its descriptor, destroyed when the last reference goes. A private slot
 * pins its file; the file knows nothing of the VM but its notifiers.
 */
import { kfree, kzalloc } from '../../../machine/alloc.js'
import { rmw } from '../../../machine/effects.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { mutexInit, rwLockInit, spinLockInit } from '../../../machine/locks.js'
import { opsTable } from '../../../machine/struct.js'
import { kvmIsVmTypeSupported, kvmX86VmDestroy, kvmX86VmInit } from '../../arch/x86/kvm/x86_ops.js'
import { allocFilePseudo, fdInstall, getUnusedFdFlags, putUnusedFd } from '../../fs/file_table.js'
import { allocAnonInode } from '../../fs/inode.js'
import { noopLlseek } from '../../fs/read_write.js'
import { EINVAL } from '../../include/errno.js'
import { type File, type FileOperations, fsState, type Inode } from '../../include/fs.js'
import { Kvm, KvmMemslots, MEMSLOT_PLACES, SEQ_NOW } from '../../include/kvm.js'
import { currentMm } from '../../include/mm_types.js'
import { O_CLOEXEC, O_RDWR } from '../../include/uapi.js'
import { xaDestroy, xaInit } from '../../lib/xarray.js'
import { mmuNotifierUnregister } from '../../mm/mmu_notifier.js'
import { kvmFreeMemslot } from './memslots.js'
import { kvmInitMmuNotifier } from './mmu_notifier.js'
import { KVM_VM_FOPS, kvmOf } from './vm_file.js'

/**
 * The listener may have left between the begin and the end of an invalidation, whose end it never
 * hears of then. Nobody waits for that, since nobody has the VM.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_destroy_vm, behind mmu_notifier_unregister(). Replaced by
 * 6.18.
 */
export const kvmListenerGone = fn(function kvm_listener_gone(kvm: Kvm): void {
  kvm.mnActiveInvalidateCount = 0
})

/**
 * Tear the VM down: first what listens to the process and its mappings, then its slots, which lets
 * go of their files.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_destroy_vm. Simplifies: vCPUs are freed behind the slots; in
 * Linux before them, and who looks for vCPUs then finds none.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const kvmDestroyVm = fn(function* kvm_destroy_vm(kvm: Kvm): Kernel<void> {
  // Zaps all, unless the exit of the process has done so: see kvm_mmu_notifier_release().
  yield* mmuNotifierUnregister(kvm.mmuNotifier, currentMm())
  kvmListenerGone(kvm)
  yield* kvmX86VmDestroy(kvm)
  let n = 0
  while (n < MEMSLOT_PLACES) {
    const slot = kvm.memslots!.slots.get(n)
    if (slot !== null) yield* kvmFreeMemslot(slot)
    n++
  }
  for (let n = 0; n < kvm.vcpus.length; n++) kfree(kvm.vcpus.get(n))
  xaDestroy(kvm.memAttrArray)
  kvmFreeVm(kvm)
})

function kvmFreeVm(kvm: Kvm): void {
  kfree(kvm.memslots)
  kfree(kvm.inactive)
  kfree(kvm)
}

/** Models: 6.2 virt/kvm/kvm_main.c kvm_get_kvm. The caller has a reference already. */
export const kvmGetKvm = fn(function* kvm_get_kvm(kvm: Kvm): Kernel<void> {
  yield rmw(kvm, 'usersCount')
  kvm.usersCount++
})

/** Models: 6.2 virt/kvm/kvm_main.c kvm_put_kvm. */
export const kvmPutKvm = fn(function* kvm_put_kvm(kvm: Kvm): Kernel<void> {
  yield rmw(kvm, 'usersCount')
  kvm.usersCount--
  if (kvm.usersCount === 0) yield* kvmDestroyVm(kvm)
})

export const kvmVmRelease = fn(function* kvm_vm_release(_inode: Inode, file: File): Kernel<number> {
  yield* kvmPutKvm(kvmOf(file))
  return 0
})

const kvmVmFops: FileOperations = opsTable({
  name: KVM_VM_FOPS,
  release: kvmVmRelease,
  llseek: noopLlseek,
})

function kvmCreateVm(type: number): Kvm {
  const kvm = kzalloc(Kvm)
  kvm.usersCount = 1
  kvm.vmType = type
  mutexInit(kvm.lock, 'kvm->lock')
  kvm.mmuInvalidateSeq = SEQ_NOW
  mutexInit(kvm.slotsLock, 'kvm->slots_lock')
  mutexInit(kvm.slotsArchLock, 'kvm->slots_arch_lock')
  rwLockInit(kvm.mmuLock, 'kvm->mmu_lock')
  spinLockInit(kvm.mnInvalidateLock, 'kvm->mn_invalidate_lock')
  kvm.memslots = kzalloc(KvmMemslots)
  kvm.inactive = kzalloc(KvmMemslots)
  xaInit(kvm.memAttrArray)
  xaInit(kvm.tdpMmu)
  return kvm
}

/**
 * KVM_CREATE_VM: a descriptor; -EINVAL for a type that is not supported.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_dev_ioctl_create_vm, with the types of x86/upm_base_support.
 * Simplifies: vCPUs come into being when a task first runs in the guest.
 */
export const sysKvmCreateVm = fn(function* kvm_dev_ioctl_create_vm(type: number): Kernel<number> {
  const fd = yield* getUnusedFdFlags(O_CLOEXEC)
  if (fd < 0) return fd
  if (!kvmIsVmTypeSupported(type)) {
    yield* putUnusedFd(fd)
    return -EINVAL
  }
  const kvm = kvmCreateVm(type)
  const error = yield* kvmX86VmInit(kvm)
  if (error !== 0) {
    yield* putUnusedFd(fd)
    kvmFreeVm(kvm)
    return error
  }
  yield* kvmInitMmuNotifier(kvm)
  const inode = yield* allocAnonInode(fsState().anonInodes!)
  const file = allocFilePseudo(inode, kvmVmFops, O_RDWR)
  file.privateData = kvm
  yield* fdInstall(fd, file)
  return fd
})
