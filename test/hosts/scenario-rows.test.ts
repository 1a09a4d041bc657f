/**
 * The scenarios that a reviewer of guest-private memory would run, by their numbers in a list of
 * 2026: which cell each is, or why these parts cannot express it. Numbers that are missing are
 * missing there.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WAITS_FOR_INVALIDATE_LOCK } from '../../mutants/snp.js'
import { checkScenario } from '../../src/app/check.js'
import { hostScenarios } from '../../src/app/host/scenarios.js'
import { type Row, rowsAsTests } from './cells.js'

const LARGE = 'entries and folios of 2 MiB are not in the kernel code here'
const MIGRATES = 'guest_memfd that migrates is no design here'

const SCENARIOS: readonly Row[] = [
  {
    row: '1 guest touch against compaction: moved under the guest',
    shows: ['migration/guest-touch-vs-compaction', 'v10', 'stale-secondary-mapping'],
    mended: ['migration/guest-touch-vs-compaction', 'gmem-6.18'],
  },
  {
    row: '1 the pin, the refusal',
    clean: [
      ['migration/guest-touch-vs-compaction', 'upm-pin'],
      ['migration/guest-touch-vs-compaction', 'upm-aops'],
    ],
  },
  { row: '2 migration between look-up and install', because: `the second guard: ${MIGRATES}` },
  {
    row: '3 migration against a punch: invalidate_lock is only tried',
    clean: [['hosts/punch-while-a-page-is-moved', 'gmem-move@snp']],
  },
  {
    row: '4 punch against a fault on the page',
    clean: [
      ['punch/punch-vs-guest-fault', 'upm'],
      ['punch/punch-vs-guest-fault', 'upm-aops'],
      ['punch/punch-vs-guest-fault', 'gmem-6.18'],
    ],
  },
  {
    row: '6 registered during a punch',
    shows: ['memslot/bind-during-punch', 'v10', 'unbalanced-invalidation'],
    mended: ['memslot/bind-during-punch', 'upm'],
  },
  {
    row: '7 unregistered during a punch',
    shows: ['memslot/unbind-during-punch', 'v10', 'stuck-invalidation'],
    mended: ['memslot/unbind-during-punch', 'upm'],
  },
  {
    row: '8 two vCPUs while attributes flip',
    clean: [
      ['hosts/convert-vs-another-vcpu', 'v10'],
      ['hosts/convert-vs-another-vcpu', 'gmem-6.18'],
      ['hosts/convert-vs-another-vcpu', 'gmem-6.18@snp'],
      ['hosts/convert-vs-another-vcpu', 'gmem-6.18@tdx-6.19'],
    ],
  },
  { row: '9 conversion of 4 KiB inside 2 MiB', because: LARGE },
  {
    row: '10 failure of a mapped private page',
    shows: ['memory-failure/mapped-restricted-page', 'v10', 'null-dereference'],
    mended: ['memory-failure/mapped-restricted-page', 'gmem-6.18'],
  },
  {
    row: '11 failure of a cached page that nobody maps',
    shows: ['memory-failure/failure-vs-first-touch', 'v10', 'poison-remapped'],
    mended: ['memory-failure/failure-vs-first-touch', 'gmem-6.18'],
  },
  {
    row: '12 failure of a page that is truncated',
    shows: ['memory-failure/punch-vs-failure', 'gmem-6.18', 'deadlock'],
  },
  {
    row: '14 slot deleted while the file is closed, as of 6.18',
    clean: [
      ['lifetime/close-the-file-and-delete-the-slot', 'gmem-6.18'],
      ['lifetime/delete-the-slot-under-a-guest-fault', 'gmem-6.18'],
    ],
  },
  { row: '14 the same up to 6.17', because: 'guest_memfd up to 6.17 is no design here' },
  {
    row: '15 the flag cleared on a live slot',
    shows: ['memslot/clear-private-flag-then-punch', 'gmem-6.18', 'dangling-binding'],
  },
  {
    row: '16 prefault against deletion, as of 6.18',
    clean: [['lifetime/prefault-while-the-slot-goes', 'gmem-6.18']],
  },
  { row: '16 the same up to 6.17', because: 'guest_memfd up to 6.17 is no design here' },
  {
    row: '17 two VMs on one file',
    shows: ['memslot/one-file-in-two-vms', 'v10', 'private-page-aliased'],
    mended: ['memslot/one-file-in-two-vms', 'gmem-6.18'],
  },
  {
    row: '18 bound behind the end of the file',
    because: 'no hazard, but pages behind the end: a recorded run (kernel-runs/main-ranges)',
  },
  {
    row: '19 SNP: punch, and the release fails',
    shows: ['hosts/release-fails', 'gmem-6.18@snp', 'rmp-leak'],
  },
  {
    row: '19 and the page is used again',
    shows: ['hosts/release-fails', 'gmem-6.18@snp', 'host-write-fault'],
  },
  { row: '20 SNP: two vCPUs validate 4 KiB of 2 MiB', because: LARGE },
  {
    row: '22 SNP: a launch that fails in the middle strands no page',
    lacks: ['hosts/launch-fails-in-the-middle', 'gmem-6.18@snp', 'rmp-stranded-page'],
  },
  {
    row: '22 and the page does not come back',
    shows: ['hosts/launched-page-does-not-come-back', 'gmem-6.18@snp', 'leaked-page-freed'],
  },
  {
    row: '23 SNP: a store next to a page of 4 KiB, without and with a split that flushes',
    shows: ['hosts/neighbour-of-a-guests-page', 'upm@snp', 'host-write-fault'],
    without: ['hosts/neighbour-of-a-guests-page', 'gmem-6.18@snp'],
  },
  {
    row: '24 TDX: REMOVE without TRACK',
    mutant: 'removal-without-track',
    finding: 'missing-track',
  },
  {
    row: '24 TDX: REMOVE fails without a pin, and with one',
    shows: ['hosts/seamcall-fails', 'gmem-6.18@tdx-6.19', 'td-page-freed'],
    without: ['hosts/seamcall-fails', 'gmem-6.18@tdx-6.18'],
  },
  {
    row: '25 TDX: busy twice',
    shows: [
      'hosts/vcpu-made-while-memory-is-taken-back',
      'gmem-6.18@tdx-6.18',
      'removal-busy-twice',
    ],
    mended: ['hosts/vcpu-made-while-memory-is-taken-back', 'gmem-6.18@tdx-6.19'],
  },
  {
    row: '26 TDX: AUG against a punch',
    clean: [
      ['hosts/punch-of-a-mapped-page', 'gmem-6.18@tdx-6.18'],
      ['hosts/punch-of-a-mapped-page', 'gmem-6.18@tdx-6.19'],
    ],
  },
  {
    row: '27 TDX: two faults on one gfn',
    clean: [
      ['hosts/two-vcpus-accept-one-page', 'gmem-6.18@tdx-6.18'],
      ['hosts/two-vcpus-accept-one-page', 'gmem-6.18@tdx-6.19'],
    ],
  },
  {
    row: '29 an ordinary slot moves beside a private one',
    clean: [
      ['memslot/ordinary-slot-moves-beside-a-private-one', 'v10'],
      ['memslot/ordinary-slot-moves-beside-a-private-one', 'upm'],
      ['memslot/ordinary-slot-moves-beside-a-private-one', 'gmem-6.18'],
    ],
  },
  {
    row: '30 notifiers against a slot that is made',
    clean: [
      ['memslot/bind-beside-munmap', 'upm'],
      ['memslot/bind-beside-munmap', 'gmem-6.18'],
      ['memslot/unbind-beside-dontneed', 'gmem-6.18'],
    ],
  },
  {
    row: '31 pressure: private pages are not reclaimed',
    shows: ['reclaim/drop-caches-vs-guest-data', 'v10', 'guest-data-lost'],
    mended: ['reclaim/drop-caches-vs-guest-data', 'gmem-6.18'],
  },
  {
    row: '32 memory hot-remove moves a page',
    shows: ['hotplug/offline-a-block-of-restricted-pages', 'v10', 'stale-secondary-mapping'],
    without: ['hotplug/offline-a-block-of-restricted-pages', 'gmem-6.18'],
  },
  {
    row: '33 fallocate, fault and the raised count: nobody takes it',
    shows: ['migration/fallocated-page-vs-compaction', 'upm-pin', 'stale-secondary-mapping'],
  },
  {
    row: '33 or two take it',
    shows: ['migration/two-vcpus-touch-one-page', 'upm-pin', 'refcount-leak'],
  },
  {
    row: '35 pKVM: a process touches a page that it has given away',
    shows: ['hosts/process-touches-a-guests-page', 'gmem-6.18@pkvm-7.0', 'hypervisor-panic'],
    mended: ['hosts/process-touches-a-guests-page', 'gmem-6.18@pkvm-7.1'],
  },
  {
    row: '35 pKVM: the kernel does',
    shows: ['hosts/kernel-touches-a-guests-page', 'gmem-6.18@pkvm-7.0', 'hypervisor-panic'],
    mended: ['hosts/kernel-touches-a-guests-page', 'gmem-6.18@pkvm-7.1'],
  },
  {
    row: '36 pKVM: the VM dies while its file is truncated, with a pin',
    clean: [
      ['hosts/file-truncated-while-the-guest-dies', 'gmem-6.18@pkvm-7.0'],
      ['hosts/file-truncated-while-the-guest-dies', 'gmem-6.18@pkvm-7.1'],
    ],
  },
  {
    row: '36 and without one',
    shows: ['hosts/teardown-vs-punch', 'upm@pkvm-7.1', 'freed-while-donated'],
    mended: ['hosts/teardown-vs-punch', 'gmem-6.18@pkvm-7.1'],
  },
  {
    row: '37 no memory in the middle of an attribute update',
    clean: [
      ['faults/attributes-stop-in-the-middle', 'gmem-6.18'],
      ['faults/attributes-stop-in-the-middle', 'upm'],
    ],
  },
  { row: '40 spurious retries', because: 'a measure; a fault that never ends is a livelock' },
]

rowsAsTests('scenarios of a reviewer', SCENARIOS)

test('3 with a lock that waits: each has what the other wants', () => {
  const file = hostScenarios().find((f) => f.scenario.name === 'hosts/punch-while-a-page-is-moved')
  const scenario = { ...file!.scenario, expect: [] }
  const effort = { bound: undefined, keepGoing: () => true, now: () => 0 }
  const { findings } = checkScenario(scenario, WAITS_FOR_INVALIDATE_LOCK, effort)
  assert.deepEqual(findings.map((f) => f.id).sort(), ['deadlock', 'lock-inversion'])
})
