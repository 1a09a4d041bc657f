/**
 * The plan of a step function, whatever language it is written in: where it can stop, what must be
 * kept meanwhile, and where in the frame that lies.
 */
import { type Block, type Local, liveness, type Terminator } from './cfg.js'
import { wordsOf } from './types.js'

/** Words of a frame before its first local. */
export const HEADER = 3

export interface Suspension {
  readonly block: Block
  readonly end: Extract<Terminator, { kind: 'yield' | 'call' }>
  /** What lives in the frame meanwhile. */
  readonly kept: readonly Local[]
}

export interface Plan {
  /** The entry comes first. */
  readonly blocks: readonly Block[]
  readonly suspensions: readonly Suspension[]
  /** Where in the frame a local is kept. */
  readonly slots: ReadonlyMap<Local, number>
  /** Words of a frame. */
  readonly words: number
  /** What the function needs when it begins. */
  readonly entryLive: ReadonlySet<Local>
}

/** Plan the function whose graph begins with the first of these blocks. */
export function planOf(blocks: readonly Block[], params: readonly Local[]): Plan {
  const entry = blocks[0] as Block
  const reachable = reachableFrom(entry)
  const live = liveness(reachable)
  const suspensions = suspensionsOf(reachable, live)
  const slots = allocate(params, suspensions)
  const words = Math.max(HEADER, ...[...slots].map(([l, at]) => at + wordsOf(l.keep)))
  const entryLive = live.get(entry) as ReadonlySet<Local>
  return { blocks: reachable, suspensions, slots, words, entryLive }
}

function reachableFrom(entry: Block): Block[] {
  const seen = new Set<Block>([entry])
  for (const b of seen) {
    const end = b.end as Terminator
    if (end.kind === 'jump') seen.add(end.to)
    else if (end.kind === 'branch') seen.add(end.yes).add(end.no)
    else if (end.kind === 'yield' || end.kind === 'call') seen.add(end.next)
  }
  return [...seen]
}

function suspensionsOf(blocks: readonly Block[], live: Map<Block, Set<Local>>): Suspension[] {
  const found: Suspension[] = []
  for (const block of blocks) {
    const end = block.end as Terminator
    if (end.kind !== 'yield' && end.kind !== 'call') continue
    const kept = [...(live.get(end.next) as Set<Local>)].filter((l) => l !== end.into)
    found.push({ block, end, kept })
  }
  return found
}

/** Frame words for every local that is kept; locals that are never kept together may share. */
function allocate(
  params: readonly Local[],
  suspensions: readonly Suspension[],
): Map<Local, number> {
  const slots = new Map<Local, number>()
  let next = HEADER
  for (const p of params) {
    slots.set(p, next)
    next += wordsOf(p.keep)
  }
  const meets = new Map<Local, Set<Local>>()
  for (const { kept } of suspensions) {
    for (const a of kept) {
      const others = meets.get(a) ?? new Set<Local>()
      for (const b of kept) if (b !== a) others.add(b)
      meets.set(a, others)
    }
  }
  for (const [local, others] of meets) {
    if (slots.has(local)) continue
    slots.set(local, firstFit(local, others, slots))
  }
  return slots
}

function firstFit(
  local: Local,
  others: ReadonlySet<Local>,
  slots: ReadonlyMap<Local, number>,
): number {
  const size = wordsOf(local.keep)
  for (let at = HEADER; ; at++) {
    let free = true
    for (const o of others) {
      const there = slots.get(o)
      if (there !== undefined && at < there + wordsOf(o.keep) && there < at + size) free = false
    }
    if (free) return at
  }
}
