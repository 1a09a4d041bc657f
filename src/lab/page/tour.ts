/**
 * Ten steps from the sentence in the mail to what was merged. Each names a cell of the matrix; the
 * story that it leads to is the one that the check of that cell found.
 */
export interface Stop {
  readonly title: string
  readonly text: string
  readonly scenario: string
  readonly design: string
  /** The finding to tell; the first one if it is not said. */
  readonly finding?: string
  /** Another design for the same schedule. */
  readonly on?: string
  readonly step?: number
}

export const TOUR: readonly Stop[] = [
  {
    title: 'KVM drops its reference',
    text: 'A guest touches private memory. KVM asks the file for the page, maps it in the secondary MMU, and drops the reference: the mapping stays, and nobody counts it. Step forward to where the SPTE appears and the count goes back.',
    scenario: 'migration/guest-touch-vs-compaction',
    design: 'v10',
    step: 19,
  },
  {
    title: 'So compaction may move the page',
    text: 'Page cache and list of pages are all the references that there are, as for any page that nobody uses. Compaction copies it and puts the copy in its place. The SPTE still points to the old page.',
    scenario: 'migration/guest-touch-vs-compaction',
    design: 'v10',
    finding: 'stale-secondary-mapping',
  },
  {
    title: 'The rework keeps the hole',
    text: 'An rwsem instead of a mutex, bindings in an XArray instead of a list: better code, the same lifetimes. The schedule of before does the same here.',
    scenario: 'migration/guest-touch-vs-compaction',
    design: 'v10',
    on: 'upm',
  },
  {
    title: 'One answer: keep a reference',
    text: 'If each page that comes into the file keeps one reference, migration sees a count that it can’t explain, and gives up with -EAGAIN.',
    scenario: 'migration/guest-touch-vs-compaction',
    design: 'upm',
    on: 'upm-pin',
  },
  {
    title: 'But who counts it twice?',
    text: 'Two vCPUs touch one page at once. Both find it absent, both keep a reference for it, and one is never dropped.',
    scenario: 'migration/two-vcpus-touch-one-page',
    design: 'upm-pin',
  },
  {
    title: 'And a page that fallocate put there has none',
    text: 'The reference comes with a fault that finds nothing. A page that was allocated in advance is found, and moves as before.',
    scenario: 'migration/fallocated-page-vs-compaction',
    design: 'upm-pin',
  },
  {
    title: 'The other answer: override a_ops',
    text: 'The patch of the thread gives the mapping its own operations: migrate_folio says -EBUSY. Compaction lets the page be.',
    scenario: 'migration/guest-touch-vs-compaction',
    design: 'v10',
    on: 'upm-aops',
  },
  {
    title: '“Build tested only”',
    text: 'On a memory failure the patch walks inodes to find whom to tell, and meets one that is not on the list. The first failure of a restricted page is a NULL dereference.',
    scenario: 'memory-failure/mapped-restricted-page',
    design: 'upm-aops',
  },
  {
    title: 'What the crash hides',
    text: 'Mend the walk, and what lies behind it can be seen: the failure is told, it says that it recovered, and the guest keeps the page.',
    scenario: 'memory-failure/mapped-restricted-page',
    design: 'upm-aops-repaired',
  },
  {
    title: 'And this is what guest_memfd did about it',
    text: 'No shmem underneath, so nothing to override: the file is KVM’s own, its pages are neither on a list of pages nor movable, and an error zaps the guest’s mapping first. The same schedule goes nowhere.',
    scenario: 'migration/guest-touch-vs-compaction',
    design: 'upm',
    on: 'gmem-6.18',
  },
]
