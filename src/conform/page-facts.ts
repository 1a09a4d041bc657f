/**
 * Facts of a page that a process has mapped, as both kernels say them. Only those are here that are
 * settled once the call before is over. Left out: the frame's number, and LRU, ACTIVE, REFERENCED
 * and UNEVICTABLE, which depend on the batches of each CPU and on reclaim. A page that is not
 * mapped has no facts: its frame may be somebody else's by now.
 */

export interface PageFacts {
  /** Page table entries of processes that map it; those of guests do not count. */
  readonly mapcount: number
  readonly uptodate: boolean
  readonly dirty: boolean
  readonly mmap: boolean
  readonly anon: boolean
  readonly swapbacked: boolean
  readonly mlocked: boolean
}

const FLAGS = ['uptodate', 'dirty', 'mmap', 'anon', 'swapbacked', 'mlocked'] as const

/** `present 1 uptodate mmap swapbacked`, or `absent` where nothing is mapped. */
export function pageAnswer(facts: PageFacts | undefined): string {
  if (facts === undefined) return 'absent'
  return ['present', facts.mapcount, ...FLAGS.filter((name) => facts[name])].join(' ')
}
