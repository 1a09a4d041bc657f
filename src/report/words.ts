/** Short words of reports, and what they stand for. */

/** A word of up to six letters for each finding. */
const SHORT: Readonly<Record<string, string>> = {
  'stale-secondary-mapping': 'stale',
  'secondary-use-after-free': 's-uaf',
  'use-after-free': 'UAF',
  'double-free': '2free',
  'null-dereference': 'NULL',
  'type-confusion': 'type',
  'uninitialised-memory': 'kmsan',
  'wild-pointer': 'wild',
  'refcount-leak': 'leak',
  'refcount-underflow': 'under',
  'memory-leak': 'mleak',
  'poison-not-reported': 'untold',
  'poison-remapped': 'poison',
  'poison-still-mapped': 'mapped',
  'misdirected-report': 'astray',
  'uninitialised-page': 'uninit',
  'guest-data-lost': 'lost',
  'wrong-kind-mapping': 'kind',
  'private-page-aliased': 'alias',
  'missing-tlb-flush': 'tlb',
  'unbalanced-invalidation': 'unbal',
  'stuck-invalidation': 'stuck',
  'lock-inversion': 'order',
  deadlock: 'hang',
  livelock: 'spins',
  'sleep-in-atomic': 'sleep',
  'dangling-binding': 'dangle',
  'kernel-bug': 'BUG',
  'kernel-warning': 'WARN',
  'bad-page-state': 'badpg',
  'unlock-by-other': 'unlock',
  'lock-held-on-return': 'kept',
  'condition-violated': 'cond',
  'unexpected-result': 'result',
  'rmp-leak': 'owned',
  'rmp-mismatch': 'owner',
  'rmp-miscount': 'count',
  'rmp-stranded-page': 'strand',
  'ciphertext-moved': 'cipher',
  'host-write-fault': 'oops',
  'asid-in-use': 'asid',
  'live-page-taken': 'taken',
  'td-page-freed': 'freed',
  'td-memory-written': 'mc',
  'missing-track': 'track',
  'removal-busy-twice': 'busy',
  'vcpu-not-barred': 'barred',
  'pamt-mismatch': 'pamt',
  'hypervisor-panic': 'panic',
  'host-read-fault': 'rdoops',
  'ownership-conflict': 'owners',
  'share-miscount': 'shares',
  'freed-while-donated': 'given',
  'guest-page-not-zeroed': 'bytes',
  'pin-dropped-early': 'unpin',
  'pin-missing': 'nopin',
  'guest-page-exposed': 'seen',
  'guest-page-taken': 'robbed',
  'leaked-page-freed': 'refree',
  'vmsa-use-after-free': 'vmsa',
  'guest-page-mapped-by-process': 'umap',
  'private-page-mapped': 'peek',
  'private-page-held': 'held',
  'conversion-in-use': 'inuse',
  'shared-page-assigned': 'notmy',
  'tdr-contended': 'tdr',
  'host-priority-stuck': 'prio',
  'stray-zap': 'stray',
  'missing-write-protection': 'wrprot',
}

export function shortFinding(id: string): string {
  return SHORT[id] ?? id.slice(0, 6)
}

/** The short words of all findings. */
export const SHORT_WORDS: readonly string[] = Object.values(SHORT)

/** What stands in the matrix besides words. */
export const MATRIX_SIGNS = {
  '-': 'the scenario does not apply to the design.',
  '?': 'behind a word: not everything was explored, so there may be more.',
  '!': 'behind a word: it is not what the scenario expects of the design.',
  '+n': 'behind a word: n more findings with which executions first go wrong; check the cell alone.',
} as const

/** What a report says of a cell, besides findings. */
export const VERDICT_WORDS = {
  clean: 'every interleaving was explored, and nothing was found.',
  open: 'nothing was found, but not everything was explored: a bound, a limit or a sample.',
  inconclusive: 'nothing was found, but not everything was explored: a bound, a limit or a sample.',
  vacuous: 'what the scenario says must happen never did, so that it shows nothing.',
  skipped: 'the scenario does not apply to the design.',
  failed: 'the set-up did not come to its end: the scenario has not begun.',
  exhaustive: 'every interleaving was explored.',
  bounded: 'only executions within a bound, or until the search was stopped, were explored.',
  sampled: 'random executions were run; what others do is not known.',
} as const
