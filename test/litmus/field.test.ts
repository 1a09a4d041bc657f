/**
 * What was reported in public, asked by who writes a VMM, or found by reading functions beside their
 * source: where each of these inputs is here, and what it answers. A row of which the kernels are
 * right is clean; one that shows a bug of Linux, or of a series, shows it on the version that has it.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { type Row, rowsAsTests } from '../hosts/cells.js'

const ROOT = resolve(import.meta.dirname, '../../..')

/** Clean on upm, which has all of 6.2's, and on 6.18. */
function bothClean(row: string, scenario: string): Row {
  return {
    row,
    clean: [
      [scenario, 'upm'],
      [scenario, 'gmem-6.18'],
    ],
  }
}

const ASKED: readonly Row[] = [
  bothClean(
    'is ballooned memory of a shared memfd freed?',
    'field/ballooned-page-of-shared-memory',
  ),
  {
    row: 'what gives memory of a mapped guest_memfd back?',
    clean: [['field/guest-memfd-given-back', 'gmem-6.18']],
  },
  {
    row: 'may the address of a slot be the mapping of its own file?',
    clean: [['field/slot-at-the-mapping-of-its-file', 'gmem-6.18']],
  },
  bothClean('does a sealed size save from SIGBUS?', 'field/sealed-size-and-a-balloon'),
  bothClean('what does KVM_RUN say of rights that changed?', 'field/rights-that-come-and-go'),
  bothClean(
    'a guest only reads a private mapping: whose page does it see?',
    'field/guest-restored-from-a-private-file',
  ),
  bothClean('and after it, the process?', 'field/guest-read-keeps-file-page'),
  bothClean('two guests, one of which writes', 'field/two-guests-on-a-private-file'),
  bothClean('may a guest read what its process only reads?', 'field/guest-reads-read-only-memory'),
  bothClean('a write to a slot that only reads', 'field/guest-writes-a-read-only-slot'),
  bothClean('the right to write goes beside a write', 'field/write-protect-vs-guest-write'),
  bothClean('who hears that no huge page is free?', 'field/prefault-without-free-huge-pages'),
  bothClean('are huge pages ever locked?', 'field/huge-pages-are-not-locked'),
  bothClean('nine memory regions', 'field/nine-memory-regions'),
  bothClean('a balloon that maps over guest memory', 'field/memory-mapped-over-guest-memory'),
]

const RACES: readonly Row[] = [
  {
    row: 'a page fails in reclaim: who was told of it never reads it again',
    lacks: ['field/reclaim-of-a-page-that-failed', 'gmem-6.18', 'condition-violated'],
  },
  {
    row: 'but it may count as recovered, and stay mapped',
    shows: ['field/reclaim-of-a-page-that-failed', 'gmem-6.18', 'poison-still-mapped'],
  },
  {
    row: 'reclaim of a page that is poisoned loses no failure',
    lacks: ['field/reclaim-of-a-poisoned-page', 'gmem-6.18', 'condition-violated'],
  },
  {
    row: 'on 6.2 it gets the last slot of swap',
    shows: ['field/poison-and-the-last-slot', 'upm', 'condition-violated'],
    without: ['field/poison-and-the-last-slot', 'gmem-6.18'],
  },
  {
    row: 'offline warns of a poisoned page that is mapped, and unmaps it without its lock',
    shows: ['field/offline-of-a-poisoned-page', 'upm-aops-repaired', 'kernel-warning'],
    mended: ['field/offline-of-a-poisoned-page', 'gmem-6.18'],
  },
  {
    row: 'soft offline loses its race twice',
    clean: [
      ['field/soft-offline-loses-twice', 'upm-aops'],
      ['field/soft-offline-loses-twice', 'gmem-6.18'],
    ],
  },
  {
    row: 'two threads poison one page',
    clean: [
      ['field/two-threads-poison-one-page', 'upm-aops'],
      ['field/two-threads-poison-one-page', 'gmem-6.18'],
    ],
  },
  {
    row: 'the second of them keeps its reference',
    mutant: 'second-failure-keeps-a-reference',
    finding: 'refcount-leak',
  },
  bothClean('memory goes while a guest reads it', 'field/memory-given-back-during-a-guest-read'),
  {
    row: 'the sequence of invalidations is noted behind the look-up',
    mutant: 'sequence-noted-late',
    finding: 'stale-secondary-mapping',
  },
  bothClean('fallocate() without memory for its first page', 'field/fallocate-without-memory'),
  {
    row: 'it takes back what it has not made',
    mutant: 'nothing-taken-back',
    finding: 'livelock',
  },
  {
    row: 'a driver looks at the seals, and pins the page afterwards',
    tried: 'test/kernel/sealed.test.ts',
    as: 'a driver that looks at the seals',
  },
  bothClean(
    'a guest reads a page without a lock beside a punch',
    'field/guest-read-beside-a-punch',
  ),
  {
    row: 'the look-up trusts that a page has a mapping',
    mutant: 'mapping-trusted',
    finding: 'null-dereference',
  },
]

const READ: readonly Row[] = [
  {
    row: 'KVM marks what it may write through as dirty in advance',
    shows: ['field/soft-offline-of-a-page-read', 'upm-aops', 'uninitialised-page'],
    mended: ['field/soft-offline-of-a-page-read', 'gmem-6.18'],
  },
  {
    row: 'and so the page stays, when caches are dropped',
    shows: ['field/zapped-and-mapped-again', 'upm', 'uninitialised-page'],
    without: ['field/zapped-and-mapped-again', 'gmem-6.18'],
  },
  {
    row: 'memory is asked for under a spinlock',
    mutant: 'page-under-spinlock',
    finding: 'sleep-in-atomic',
  },
  bothClean('an attribute changes within a fault', 'field/attribute-changes-during-a-fault'),
  {
    row: 'a page moves between the faults of two vCPUs',
    shows: ['field/fault-that-finds-another-page', 'upm', 'kernel-bug'],
    mended: ['field/fault-that-finds-another-page', 'gmem-6.18'],
  },
  {
    row: 'a file of more pages than the model has frames: a limit of ours, never -ENOMEM',
    tried: 'test/litmus/limits.test.ts',
    as: 'six hundred pages',
  },
  bothClean('nine, and nineteen, files are open at the exit', 'field/many-files-at-the-exit'),
  bothClean('a VM goes beside MADV_REMOVE', 'field/close-the-vm-vs-madvise-remove'),
  {
    row: 'a private slot with a dirty log: v10 takes it, all others refuse',
    clean: [
      ['field/private-slot-with-a-dirty-log', 'v10'],
      ['field/private-slot-with-a-dirty-log', 'upm'],
      ['field/private-slot-with-a-dirty-log', 'gmem-6.18'],
    ],
  },
  {
    row: 'an offline that never ends holds up memory failure',
    shows: ['hotplug/offline-holds-up-memory-failure', 'gmem-6.18', 'livelock'],
  },
  {
    row: 'a free frame fails: an allocation of 6.2 looks, one of 6.18 does not',
    clean: [
      ['field/failure-of-a-free-page', 'upm-aops'],
      ['field/failure-of-a-free-page', 'gmem-6.18'],
    ],
  },
  bothClean('a file is closed while caches are dropped', 'field/drop-caches-vs-close'),
  {
    row: 'a page fails while it moves',
    clean: [
      ['field/page-that-fails-while-it-moves', 'upm-aops'],
      ['field/page-that-fails-while-it-moves', 'gmem-6.18'],
    ],
  },
  {
    row: 'caches are dropped, and nobody has asked for a drain',
    shows: ['reclaim/drop-caches-vs-guest-data', 'upm', 'guest-data-lost'],
    mended: ['reclaim/drop-caches-vs-guest-data', 'gmem-6.18'],
  },
  {
    row: 'a page is punched of which a vCPU has a translation',
    shows: ['field/translations-of-a-punched-page', 'upm', 'uninitialised-page'],
    mended: ['field/translations-of-a-punched-page', 'gmem-6.18'],
  },
  {
    row: 'the same beside the vCPU',
    shows: ['field/punch-beside-a-vcpu-at-work', 'upm', 'uninitialised-page'],
    mended: ['field/punch-beside-a-vcpu-at-work', 'gmem-6.18'],
  },
  {
    row: 'without a flush, whatever the vCPU has touched since',
    mutant: 'zap-does-not-flush',
    finding: 'missing-tlb-flush',
  },
  {
    row: 'a binding without memory: a fault that never ends, or -EIO',
    shows: ['faults/the-binding-fails', 'upm', 'livelock'],
    without: ['faults/the-binding-fails', 'gmem-6.18'],
  },
  {
    row: 'one invalidation of two slots',
    shows: ['field/one-call-over-two-slots', 'upm', 'stale-secondary-mapping'],
    mended: ['field/one-call-over-two-slots', 'gmem-6.18'],
  },
  {
    row: 'an end without a begin, and the guest goes on',
    shows: ['memslot/unbalanced-end-then-touch', 'v10', 'livelock'],
    mended: ['memslot/unbalanced-end-then-touch', 'upm'],
  },
  bothClean('a slot goes beside MADV_DONTNEED of its memory', 'memslot/unbind-beside-dontneed'),
  bothClean('and beside that of other memory', 'field/private-slot-deleted-beside-an-unmap'),
]

rowsAsTests('asked by who writes a VMM', ASKED)
rowsAsTests('races and lifetimes that were reported', RACES)
rowsAsTests('found by reading', READ)

test('every scenario from the field has its row', () => {
  const named = JSON.stringify([...ASKED, ...RACES, ...READ])
  const files = readdirSync(join(ROOT, 'litmus/field')).map((f) => f.replace(/\.litmus$/, ''))
  assert.deepEqual(
    files.filter((f) => !named.includes(`"field/${f}"`)),
    [],
  )
})
