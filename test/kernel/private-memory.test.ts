/** A host whose KVM is built without private memory, as most are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Design, defineDesign } from '../../src/designs/design.js'
import { gmem618 } from '../../src/designs/gmem.js'
import { upm } from '../../src/designs/upm.js'
import { hasPrivateMemory } from '../../src/kernel/arch/x86/kvm/private_mem.js'
import { EINVAL, ENOTTY } from '../../src/kernel/include/errno.js'
import { KVM_CAP_MEMORY_ATTRIBUTES, KVM_CAP_VM_TYPES } from '../../src/kernel/include/uapi.js'
import { sysKvmCheckExtension } from '../../src/kernel/virt/kvm/guest_memfd.js'
import { sysKvmCreateVm } from '../../src/kernel/virt/kvm/kvm_main.js'
import { sysKvmSetMemoryAttributes } from '../../src/kernel/virt/kvm/memory_attributes.js'
import { fn, replace } from '../../src/machine/fn.js'
import { Host } from '../kernel-runs/gmem-host.js'

const none = fn(function config_kvm_sw_protected_vm(): boolean {
  return false
})

const without = (base: Design): Design =>
  defineDesign({
    id: `${base.id}-no-private-memory`,
    summary: 'built without private memory',
    base,
    cite: [],
    replaces: [replace(hasPrivateMemory, none)],
  })

for (const base of [upm, gmem618]) {
  test(`${base.id}: no VM can have it, and there is no such request`, () => {
    const h = new Host(without(base))
    assert.equal(h.call(sysKvmCreateVm, 1), -EINVAL)
    const vm = h.call(sysKvmCreateVm, 0)
    assert.equal(h.call(sysKvmSetMemoryAttributes, vm, 0n, 4096n, 0n, 0n), -ENOTTY)
  })
}

test('6.18: the capabilities say so', () => {
  const h = new Host(without(gmem618))
  assert.equal(h.call(sysKvmCheckExtension, KVM_CAP_VM_TYPES, -1), 1)
  assert.equal(h.call(sysKvmCheckExtension, KVM_CAP_MEMORY_ATTRIBUTES, -1), 0)
})
