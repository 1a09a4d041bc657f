/** The invalidation protocol: what is protected, and what an end without a begin leaves behind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { EIO } from '../../src/kernel/include/errno.js'
import { filesStruct } from '../../src/kernel/include/fs.js'
import { type Kvm, KvmVcpu } from '../../src/kernel/include/kvm.js'
import type { Gfn } from '../../src/kernel/include/types.js'
import { MAP_ANONYMOUS, MAP_PRIVATE } from '../../src/kernel/include/uapi.js'
import { sysMmap, sysMunmap } from '../../src/kernel/mm/mmap.js'
import {
  kvmMmuInvalidateBegin,
  kvmMmuInvalidateEnd,
  kvmMmuInvalidateRangeAdd,
  mmuInvalidateRetryGfn,
} from '../../src/kernel/virt/kvm/invalidate.js'
import { sysKvmCreateVm } from '../../src/kernel/virt/kvm/kvm_main.js'
import { sysKvmSetUserMemoryRegion } from '../../src/kernel/virt/kvm/memory_region.js'
import { kvmOf } from '../../src/kernel/virt/kvm/vm_file.js'
import { kzalloc } from '../../src/machine/alloc.js'
import { takeRemarks } from '../../src/machine/fault.js'
import { PAGE, User } from './user.js'

const at = (gfn: number): Gfn => gfn as Gfn

/** A process with a VM: its descriptor and its object. */
function vmOf(profile: '6.2' | '6.18'): { user: User; fd: number; kvm: Kvm } {
  const user = new User(profile)
  const fd = user.call(sysKvmCreateVm, 0)
  return { user, fd, kvm: kvmOf(filesStruct().fd.get(fd)!) }
}

/** Which of the gfns 0 to 3 would a fault that has noted the sequence of now retry? */
function retried(kvm: Kvm): number[] {
  return [0, 1, 2, 3].filter((gfn) => mmuInvalidateRetryGfn(kvm, kvm.mmuInvalidateSeq, at(gfn)))
}

const warnings = (): number => takeRemarks().filter((r) => r.id === 'kernel-warning').length

test('one invalidation of two ranges: the series keep the last, 6.18 keeps both', () => {
  for (const [profile, expected] of [
    ['6.2', [2]],
    ['6.18', [0, 1, 2]],
  ] as const) {
    const { kvm } = vmOf(profile)
    kvmMmuInvalidateBegin(kvm)
    kvmMmuInvalidateRangeAdd(kvm, at(0), at(1))
    kvmMmuInvalidateRangeAdd(kvm, at(2), at(3))
    assert.deepEqual(retried(kvm), expected, profile)
    kvmMmuInvalidateEnd(kvm)
    assert.deepEqual([retried(kvm), warnings()], [[], 0], profile)
  }
})

test('slots are taken by user address: what the series keep is that of the highest', () => {
  const { user, fd, kvm } = vmOf('6.2')
  const size = 2 * PAGE
  const at0 = user.call(sysMmap, 0n, BigInt(size), 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0n)
  const slot = (id: number, gfn: number, address: number): number =>
    user.call(sysKvmSetUserMemoryRegion, fd, id, 0, BigInt(gfn * PAGE), 4096n, BigInt(address))
  assert.deepEqual([slot(1, 2, at0), slot(0, 0, at0 + PAGE)], [0, 0])
  assert.equal(user.call(sysMunmap, BigInt(at0), BigInt(size)), 0)
  assert.deepEqual([kvm.mmuInvalidateRangeStart, kvm.mmuInvalidateRangeEnd], [0, 1])
})

test('a fault that noted the sequence before an invalidation ended retries, one after does not', () => {
  for (const profile of ['6.2', '6.18'] as const) {
    const { kvm } = vmOf(profile)
    const [before, after, idle] = [0, 1, 2].map((n) => {
      const vcpu = kzalloc(KvmVcpu)
      kvm.vcpus.set(n, vcpu)
      return vcpu
    }) as [KvmVcpu, KvmVcpu, KvmVcpu]
    before.mmuSeq = kvm.mmuInvalidateSeq
    kvmMmuInvalidateBegin(kvm)
    kvmMmuInvalidateRangeAdd(kvm, at(1), at(2))
    kvmMmuInvalidateEnd(kvm)
    after.mmuSeq = kvm.mmuInvalidateSeq
    const retries = [before, after].map((v) => mmuInvalidateRetryGfn(kvm, v.mmuSeq, at(0)))
    assert.deepEqual(retries, [true, false], profile)
    assert.equal(idle.mmuSeq, 0, 'outside of a fault nothing is noted')
  }
})

test('two invalidations share their hull until both have ended', () => {
  for (const profile of ['6.2', '6.18'] as const) {
    const { kvm } = vmOf(profile)
    kvmMmuInvalidateBegin(kvm)
    kvmMmuInvalidateRangeAdd(kvm, at(0), at(1))
    kvmMmuInvalidateBegin(kvm)
    kvmMmuInvalidateRangeAdd(kvm, at(2), at(3))
    kvmMmuInvalidateEnd(kvm)
    assert.deepEqual(retried(kvm), [0, 1, 2], profile)
    kvmMmuInvalidateEnd(kvm)
    assert.deepEqual([retried(kvm), warnings()], [[], 0], profile)
  }
})

test('an invalidation without a range is warned of, and everything retries', () => {
  for (const profile of ['6.2', '6.18'] as const) {
    const { kvm } = vmOf(profile)
    kvmMmuInvalidateBegin(kvm)
    assert.deepEqual(retried(kvm), [0, 1, 2, 3], profile)
    assert.equal(warnings(), 4, profile)
  }
})

test('after an end too many, the last range retries for ever, and the next one is ignored', () => {
  const { kvm } = vmOf('6.2')
  kvmMmuInvalidateBegin(kvm)
  kvmMmuInvalidateRangeAdd(kvm, at(1), at(2))
  kvmMmuInvalidateEnd(kvm)
  kvmMmuInvalidateEnd(kvm)
  assert.deepEqual([kvm.mmuInvalidateInProgress, retried(kvm), warnings()], [-1, [1], 0])
  kvmMmuInvalidateBegin(kvm)
  kvmMmuInvalidateRangeAdd(kvm, at(0), at(1))
  assert.deepEqual([kvm.mmuInvalidateInProgress, retried(kvm), warnings()], [0, [], 1])
})

test('in 6.18 an end too many takes the VM out of service', () => {
  const { user, fd, kvm } = vmOf('6.18')
  kvmMmuInvalidateBegin(kvm)
  kvmMmuInvalidateRangeAdd(kvm, at(1), at(2))
  kvmMmuInvalidateEnd(kvm)
  assert.equal(warnings(), 0)
  kvmMmuInvalidateEnd(kvm)
  assert.equal(warnings(), 1)
  assert.equal(user.call(sysKvmSetUserMemoryRegion, fd, 0, 0, 0n, 4096n, 4096n), -EIO)
})

test('a VM that is destroyed with an invalidation under way: 6.18 warns, 6.2 says nothing', () => {
  for (const profile of ['6.2', '6.18'] as const) {
    const { user, fd, kvm } = vmOf(profile)
    kvmMmuInvalidateBegin(kvm)
    kvmMmuInvalidateRangeAdd(kvm, at(1), at(2))
    const close = (): number => user.call(sysClose, fd)
    if (profile === '6.2') assert.equal(close(), 0)
    else assert.throws(close, { id: 'kernel-warning', message: /^kvm_destroy_vm/ })
  }
})
