/**
 * What is held when, and what comes before what, where versions and designs differ in that alone:
 * no result of a call tells.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Design, defineDesign } from '../../src/designs/design.js'
import { upm } from '../../src/designs/upm.js'
import { v10, v10RegisterNotifier } from '../../src/designs/v10.js'
import { kvmTdpMmuZap } from '../../src/kernel/arch/x86/kvm/tdp_mmu.js'
import { sysFallocate } from '../../src/kernel/fs/open.js'
import type { File } from '../../src/kernel/include/fs.js'
import { type Kvm, KvmMemorySlot } from '../../src/kernel/include/kvm.js'
import type { RestrictedmemNotifier } from '../../src/kernel/include/restrictedmem.js'
import type { Gfn, Pgoff } from '../../src/kernel/include/types.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import {
  storeAttributes,
  sysKvmSetMemoryAttributes,
} from '../../src/kernel/virt/kvm/memory_attributes.js'
import { kvmRestrictedmemBind } from '../../src/kernel/virt/kvm/restrictedmem.js'
import { fn, type Kernel, original, type Replacement, replace } from '../../src/machine/fn.js'
import { containerOf } from '../../src/machine/struct.js'
import { drainLru, memoryFailureOp } from '../../src/user/pages.js'
import { bindSlot, privateMemory } from '../../src/user/vmm.js'
import { Host, P } from '../kernel-runs/gmem-host.js'
import { returns, User } from './user.js'

const told: string[] = []

/** What has been told since the last time. */
function takeTold(): string[] {
  return told.splice(0)
}

/** A VMM on a design that tells what it does. */
function watched(base: Design, replaces: readonly Replacement[]): Host {
  const rest = { id: 'watched', summary: 'Tells what it does.', cite: ['seeded'], replaces }
  return new Host(defineDesign({ base, ...rest }))
}

test('memory_failure() locks the page once on 6.2; on 6.18 also before it is put on its list', () => {
  const get = 'get_hwpoison_page'
  const shake = 'shake_page'
  const lock = ['folio_lock', 'folio_unlock']
  const unmap = 'hwpoison_user_mappings'
  for (const [profile, expected] of [
    ['6.2', [get, shake, 'folio_lock', unmap, 'folio_unlock']],
    ['6.18', [get, ...lock, shake, 'folio_lock', unmap, 'folio_unlock']],
  ] as const) {
    const user = new User(profile)
    const fd = user.call(sysMemfdCreate, 0)
    assert.equal(user.call(sysFallocate, fd, 0, 0n, P), 0)
    user.call(drainLru)
    const failed = (): number => user.call(memoryFailureOp, fd, 0)
    assert.deepEqual(returns([get, shake, ...lock, unmap], failed), expected, profile)
  }
})

/** Which locks of a VM are held. */
function held(kvm: Kvm): string {
  const { lock, slotsLock, slotsArchLock } = kvm
  const names = [
    lock.owner > 0 ? 'lock' : '',
    slotsLock.owner > 0 ? 'slots_lock' : '',
    slotsArchLock.owner > 0 ? 'slots_arch_lock' : '',
  ]
  return names.filter((n) => n !== '').join(' ')
}

// The functions as the base of the design has them.
const stored = original(storeAttributes)
const zapped = original(kvmTdpMmuZap)
const bound = original(kvmRestrictedmemBind)
const registered = original(v10RegisterNotifier)

const ATTRIBUTES: readonly Replacement[] = [
  replace(
    storeAttributes,
    fn(function* kvm_store_mem_attributes(
      kvm: Kvm,
      start: Gfn,
      end: Gfn,
      attributes: number,
    ): Kernel<void> {
      told.push(`store: ${held(kvm)}`)
      yield* stored(kvm, start, end, attributes)
    }),
  ),
  replace(
    kvmTdpMmuZap,
    fn(function* tdp_mmu_zap_leafs(
      kvm: Kvm,
      start: Gfn,
      end: Gfn,
      filter: number,
    ): Kernel<boolean> {
      told.push(`zap ${start} to ${end}`)
      return yield* zapped(kvm, start, end, filter)
    }),
  ),
]

const BIND = replace(
  kvmRestrictedmemBind,
  fn(function* kvm_restrictedmem_bind(
    slot: KvmMemorySlot,
    fd: number,
    offset: Pgoff,
  ): Kernel<number> {
    told.push(`bind: ${held(slot.kvm!)}`)
    return yield* bound(slot, fd, offset)
  }),
)

const REGISTER = replace(
  v10RegisterNotifier,
  fn(function* restrictedmem_register_notifier(
    file: File,
    notifier: RestrictedmemNotifier,
  ): Kernel<number> {
    told.push(`register: ${held(containerOf(notifier, KvmMemorySlot, 'notifier').kvm!)}`)
    return yield* registered(file, notifier)
  }),
)

test('v10 looks the file up, and registers; upm does both before slots_arch_lock is taken', () => {
  for (const [base, replaces, expected] of [
    [v10, [BIND, REGISTER], ['bind: slots_lock', 'register: slots_lock slots_arch_lock']],
    [upm, [BIND], ['bind: slots_lock']],
  ] as const) {
    const h = watched(base, replaces)
    const vm = h.newVm(1)
    const fd = h.call(privateMemory, vm, P)
    assert.equal(h.call(bindSlot, vm, 0, 0n, P, fd, 0n), 0)
    assert.deepEqual(takeTold(), expected, base.id)
  }
})

test('v10 stores attributes under a lock of its own, and zaps what lies in slots', () => {
  for (const [base, lock, zap] of [
    [v10, 'lock', 'zap 1 to 2'],
    [upm, 'slots_lock', 'zap 0 to 4'],
  ] as const) {
    const h = watched(base, ATTRIBUTES)
    const vm = h.newVm(1)
    const fd = h.call(privateMemory, vm, P)
    assert.equal(h.call(bindSlot, vm, 0, P, P, fd, 0n), 0)
    takeTold()
    assert.equal(h.call(sysKvmSetMemoryAttributes, vm, 0n, 4n * P, 8n, 0n), 0)
    const stores = Array.from({ length: 4 }, () => `store: ${lock}`)
    assert.deepEqual(takeTold(), [...stores, zap], base.id)
  }
})
