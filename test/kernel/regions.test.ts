/** Requests for memslots and attributes that are refused, and what is left of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gmem618 } from '../../src/designs/gmem.js'
import { upm } from '../../src/designs/upm.js'
import { upmAops } from '../../src/designs/upm-aops.js'
import { v10 } from '../../src/designs/v10.js'
import { guestRead, guestWrite } from '../../src/kernel/arch/x86/kvm/guest.js'
import { sysFcntlGetfd } from '../../src/kernel/fs/fcntl.js'
import { sysFtruncate } from '../../src/kernel/fs/open.js'
import { sysLseek, sysPread, sysPwrite, sysRead, sysWrite } from '../../src/kernel/fs/read_write.js'
import { EBADF, EINTR, EINVAL, ENOTTY, ESPIPE } from '../../src/kernel/include/errno.js'
import { filesStruct } from '../../src/kernel/include/fs.js'
import { KVM_EXIT_INTR, KVM_EXIT_UNKNOWN, type Kvm } from '../../src/kernel/include/kvm.js'
import {
  FD_CLOEXEC,
  KVM_MEM_PRIVATE,
  SEEK_END,
  SEEK_HOLE,
  SEEK_SET,
} from '../../src/kernel/include/uapi.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { sysKvmCreateVm } from '../../src/kernel/virt/kvm/kvm_main.js'
import { sysKvmSetMemoryAttributes } from '../../src/kernel/virt/kvm/memory_attributes.js'
import {
  sysKvmSetUserMemoryRegion,
  sysKvmSetUserMemoryRegion2,
} from '../../src/kernel/virt/kvm/memory_region.js'
import { sysKvmCreateVcpu } from '../../src/kernel/virt/kvm/vcpu_file.js'
import { memoryFailureOp } from '../../src/user/pages.js'
import { privateMemory } from '../../src/user/vmm.js'
import { Host, P } from '../kernel-runs/gmem-host.js'

const END = 2n ** 52n
const HVA = 2n ** 30n
const PRIVATE = 8n

for (const design of [v10, upm, gmem618]) {
  /** A software-protected VM and a file of one page. */
  const withFile = (): { h: Host; vm: number; fd: number } => {
    const h = new Host(design)
    const vm = h.newVm(1)
    return { h, vm, fd: h.call(privateMemory, vm, P) }
  }

  test(`${design.id}: a slot behind the end of guest memory leaves its file unbound`, () => {
    const { h, vm, fd } = withFile()
    const bind = (gpa: bigint): number =>
      h.call(sysKvmSetUserMemoryRegion2, vm, 0, KVM_MEM_PRIVATE, gpa, P, HVA, fd, 0n)
    assert.equal(bind(END), -EINVAL)
    assert.equal(bind(0n), 0)
    assert.equal(h.call(sysKvmSetMemoryAttributes, vm, 0n, P, PRIVATE, 0n), 0)
    assert.equal(h.call(guestWrite, vm, 0n, 0x5a), 0)
  })

  test(`${design.id}: a slot that cannot move stays where it is`, () => {
    const h = new Host(design)
    const vm = h.newVm(0)
    const hva = h.newUserMemory(1, () => 0x5a)
    const set = (gpa: bigint): number => h.call(sysKvmSetUserMemoryRegion, vm, 0, 0, gpa, P, hva)
    assert.equal(set(0n), 0)
    assert.equal(h.call(guestRead, vm, 0n), 0x5a)
    assert.equal(set(END), -EINVAL)
    assert.equal(h.call(guestRead, vm, 0n), 0x5a)
    assert.equal(set(P), 0)
    assert.equal(h.call(guestRead, vm, P), 0x5a)
  })

  test(`${design.id}: memory is private only in a VM that can have it`, () => {
    const h = new Host(design)
    const set = (vm: number, gpa: bigint, size: bigint, attributes: bigint): number =>
      h.call(sysKvmSetMemoryAttributes, vm, gpa, size, attributes, 0n)
    assert.equal(set(h.newVm(0), 0n, P, PRIVATE), -EINVAL)
    assert.equal(set(h.vm, 0n, P, 0n), 0)
    assert.equal(set(h.newVm(1), 0n, P, PRIVATE), 0)
    assert.equal(set(h.vm, -P, 2n * P, PRIVATE), -EINVAL)
    assert.equal(set(h.vm, P, -P, PRIVATE), -EINVAL)
  })

  test(`${design.id}: exec() closes VMs and vCPUs`, () => {
    const h = new Host(design)
    const vm = h.newVm(0)
    assert.equal(h.call(sysFcntlGetfd, vm), FD_CLOEXEC)
    assert.equal(h.call(sysFcntlGetfd, h.call(sysKvmCreateVcpu, vm)), FD_CLOEXEC)
  })

  test(`${design.id}: a vCPU knows no request to a VM, and another file no request at all`, () => {
    const h = new Host(design)
    const vm = h.newVm(1)
    const vcpu = h.call(sysKvmCreateVcpu, vm)
    const file = h.call(sysMemfdCreate, 0)
    for (const [fd, error] of [
      [vcpu, -EINVAL],
      [file, -ENOTTY],
      [99, -EBADF],
    ] as const) {
      assert.equal(h.call(sysKvmCreateVcpu, fd), error)
      assert.equal(h.call(sysKvmSetUserMemoryRegion, fd, 0, 0, 0n, P, HVA), error)
      assert.equal(h.call(sysKvmSetMemoryAttributes, fd, 0n, P, PRIVATE, 0n), error)
    }
  })

  test(`${design.id}: VMs and vCPUs can be sought in, which moves nothing, and not read`, () => {
    const h = new Host(design)
    const vm = h.newVm(0)
    for (const fd of [vm, h.call(sysKvmCreateVcpu, vm)]) {
      assert.equal(h.call(sysLseek, fd, 5n, SEEK_SET), 0)
      assert.equal(h.call(sysLseek, fd, -5n, SEEK_END), 0)
      assert.equal(h.call(sysLseek, fd, 0n, SEEK_HOLE + 1), -EINVAL)
      assert.equal(h.call(sysRead, fd, 1), -EINVAL)
      assert.equal(h.call(sysWrite, fd, 1, 0), -EINVAL)
      assert.equal(h.call(sysPread, fd, 0n, 1), -ESPIPE)
      assert.equal(h.call(sysPwrite, fd, 0n, 1, 0), -ESPIPE)
    }
  })

  test(`${design.id}: of a request to no VM nothing else is looked at`, () => {
    const h = new Host(design)
    assert.equal(h.call(sysKvmSetUserMemoryRegion, 7, 0, KVM_MEM_PRIVATE, 0n, P, HVA), -EBADF)
    const vm = h.call(sysKvmCreateVm, 0)
    assert.equal(h.call(sysKvmSetUserMemoryRegion, vm, 0, KVM_MEM_PRIVATE, 0n, P, HVA), -EINVAL)
  })
}

test('upm: an offset that is negative as a loff_t is refused, and v10 takes it', () => {
  for (const [design, answer] of [
    [upm, -EINVAL],
    [v10, 0],
  ] as const) {
    const h = new Host(design)
    const vm = h.newVm(1)
    const fd = h.call(privateMemory, vm, P)
    const offset = 2n ** 63n
    const ret = h.call(sysKvmSetUserMemoryRegion2, vm, 0, KVM_MEM_PRIVATE, 0n, P, HVA, fd, offset)
    assert.equal(ret, answer)
  }
})

for (const design of [upmAops, gmem618]) {
  test(`${design.id}: memory of the process that has failed interrupts the guest for a SIGBUS`, () => {
    const h = new Host(design)
    const vm = h.newVm(0)
    const fd = h.call(sysMemfdCreate, 0)
    h.call(sysFtruncate, fd, P)
    const hva = h.mmap(fd, P)
    assert.equal(h.call(sysKvmSetUserMemoryRegion, vm, 0, 0, 0n, P, hva), 0)
    assert.equal(h.call(guestWrite, vm, 0n, 0x5a), 0)
    assert.equal(h.call(memoryFailureOp, fd, 0), 0)
    const vcpu = (filesStruct().fd.get(vm)!.privateData as Kvm).vcpus.get(0)!
    for (const run of [() => h.call(guestRead, vm, 0n), () => h.call(guestWrite, vm, 0n, 1)]) {
      vcpu.exitReason = KVM_EXIT_UNKNOWN
      assert.equal(run(), -EINTR)
      assert.equal(vcpu.exitReason, KVM_EXIT_INTR)
    }
  })
}
