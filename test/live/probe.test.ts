/** Which families can run on which hosts, and what is said of those that cannot. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAMILIES, type Family } from '../../src/conform/generate.js'
import { type Capabilities, describeCapabilities, missingFor } from '../../src/live/probe.js'

/** A host on which everything can be asked. */
const WHOLE: Capabilities = {
  release: '6.18.44',
  arch: 'x86_64',
  root: true,
  kvmError: 0,
  kvm: { KVM_CAP_GUEST_MEMFD: 1, KVM_CAP_GUEST_MEMFD_FLAGS: 3 },
  secretmem: true,
  swap: false,
  frames: true,
  guest: '',
  files: 1024,
}

const KVM_FAMILIES: readonly Family[] = ['guest_memfd', 'guest', 'guest_page', 'guest_memory']

/** What a host lacks, the families that it cannot run for it, and what it says. */
const HOSTS: readonly (readonly [Partial<Capabilities>, readonly Family[], RegExp])[] = [
  [{}, [], /^$/],
  [{ frames: false }, ['page', 'guest_page'], /hides page frames/],
  [{ swap: true }, ['page', 'guest_page'], /swap is in use/],
  [{ secretmem: false }, ['secretmem', 'page'], /memfd_secret is not enabled/],
  [{ kvmError: 2 }, KVM_FAMILIES, /there is no \/dev\/kvm/],
  [{ kvmError: 13 }, KVM_FAMILIES, /may not be opened by this user/],
  [{ kvmError: 16 }, KVM_FAMILIES, /cannot be opened \(errno 16\)/],
  [{ kvm: {} }, KVM_FAMILIES, /no guest_memfd$/],
  [{ kvm: { ...WHOLE.kvm, KVM_CAP_GUEST_MEMFD_FLAGS: 1 } }, KVM_FAMILIES, /that can be mapped/],
  [{ guest: 'the guest is emulated' }, ['guest', 'guest_memory'], /the guest is emulated/],
  [{ files: 127 }, FAMILIES, /may open 127 files here; 128 are needed/],
]

for (const [lacking, families, reason] of HOSTS) {
  test(`a host with ${JSON.stringify(lacking)} cannot run: ${families.join(', ') || 'nothing'}`, () => {
    const host = { ...WHOLE, ...lacking }
    const told = new Map(describeCapabilities(host))
    for (const family of FAMILIES) {
      const missing = missingFor(family, host)
      assert.equal(missing !== undefined, families.includes(family), `${family}: ${missing}`)
      if (missing !== undefined) assert.match(missing, reason, family)
      assert.equal(told.get(`family ${family}`), missing ?? 'can run')
    }
  })
}

test('of two things that are missing, one that the user can change is told first', () => {
  const hidden = { ...WHOLE, frames: false, kvmError: 2, secretmem: false }
  assert.match(missingFor('guest_page', hidden) ?? '', /hides page frames/)
  assert.match(missingFor('page', hidden) ?? '', /hides page frames/)
})
