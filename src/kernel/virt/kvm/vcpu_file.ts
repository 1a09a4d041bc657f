/** A vCPU behind a descriptor of its own, which keeps the VM. */
import { read } from '../../../machine/effects.js'
import { fn, type Kernel } from '../../../machine/fn.js'
import { mutexLock, mutexUnlock } from '../../../machine/locks.js'
import { isErr, opsTable, ptrErr } from '../../../machine/struct.js'
import { currentTaskNumber } from '../../../machine/task.js'
import { taskVcpu } from '../../arch/x86/kvm/guest.js'
import { allocFilePseudo, fdInstall, fput, getUnusedFdFlags } from '../../fs/file_table.js'
import { allocAnonInode } from '../../fs/inode.js'
import { noopLlseek } from '../../fs/read_write.js'
import { EEXIST } from '../../include/errno.js'
import { type File, type FileOperations, fsState, type Inode } from '../../include/fs.js'
import type { Kvm, KvmVcpu } from '../../include/kvm.js'
import { O_CLOEXEC, O_RDWR } from '../../include/uapi.js'
import { kvmGetKvm, kvmPutKvm } from './kvm_main.js'
import { KVM_VCPU_FOPS, kvmFget, kvmOf } from './vm_file.js'

/**
 * The vCPU itself lives as long as the VM.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_vcpu_release. Compared: 6.17 and 7.0 source.
 */
export const kvmVcpuRelease = fn(function* kvm_vcpu_release(
  _inode: Inode,
  file: File,
): Kernel<number> {
  yield* kvmPutKvm((file.privateData as KvmVcpu).kvm!)
  return 0
})

const kvmVcpuFops: FileOperations = opsTable({
  name: KVM_VCPU_FOPS,
  release: kvmVcpuRelease,
  llseek: noopLlseek,
})

export const createVcpu = fn(function* kvm_vm_ioctl_create_vcpu_locked(kvm: Kvm): Kernel<number> {
  yield read(kvm, 'vcpus')
  if (kvm.vcpus.get(currentTaskNumber()) !== null) return -EEXIST
  const fd = yield* getUnusedFdFlags(O_CLOEXEC)
  if (fd < 0) return fd
  const vcpu = yield* taskVcpu(kvm)
  yield* kvmGetKvm(kvm)
  const inode = yield* allocAnonInode(fsState().anonInodes!)
  const file = allocFilePseudo(inode, kvmVcpuFops, O_RDWR)
  file.privateData = vcpu
  yield* fdInstall(fd, file)
  return fd
})

/**
 * KVM_CREATE_VCPU for the running task: a descriptor; -EEXIST if the task has a vCPU in this VM;
 * -EBADF, or -ENOTTY, if `vm` is no VM.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_vm_ioctl_create_vcpu. Simplifies: kvm->lock is not dropped
 * while the vCPU is made, which nobody knows yet; there is one for each task and no other limit.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysKvmCreateVcpu = fn(function* kvm_vm_ioctl_create_vcpu(vm: number): Kernel<number> {
  const vmFile = yield* kvmFget(vm)
  if (isErr(vmFile)) return ptrErr(vmFile)
  const kvm = kvmOf(vmFile)
  yield* mutexLock(kvm.lock)
  const ret = yield* createVcpu(kvm)
  mutexUnlock(kvm.lock)
  yield* fput(vmFile)
  return ret
})
