/**
 * The control flow graph of a lowered function. Code is text in which locals have their own names.
 */
import type { Keep } from './types.js'

export interface Local {
  /** Unique JavaScript name. */
  readonly name: string
  /** As written, for messages. */
  readonly source: string
  readonly keep: Keep
  /** Position in the source file, for messages. */
  readonly pos: number
}

/** A piece of straight-line code: uses come before defs. */
export interface Item {
  readonly text: string
  readonly uses: ReadonlySet<Local>
  readonly defs: ReadonlySet<Local>
}

export type Terminator =
  | { readonly kind: 'jump'; readonly to: Block }
  | { readonly kind: 'branch'; readonly cond: Item; readonly yes: Block; readonly no: Block }
  | { readonly kind: 'return'; readonly value: Item }
  | { readonly kind: 'throw'; readonly value: Item }
  | {
      readonly kind: 'yield'
      readonly effect: Item
      /** A plain access, whose effect need not be evaluated in a search. */
      readonly plain: boolean
      readonly into: Local | undefined
      readonly next: Block
      readonly line: number
      readonly note: string
    }
  | {
      readonly kind: 'call'
      readonly callee: Item
      readonly args: readonly Item[]
      readonly into: Local | undefined
      readonly next: Block
      readonly line: number
      readonly note: string
    }

export interface Block {
  readonly id: number
  readonly items: Item[]
  end: Terminator | undefined
}

export function successors(end: Terminator): Block[] {
  switch (end.kind) {
    case 'jump':
      return [end.to]
    case 'branch':
      return [end.yes, end.no]
    case 'yield':
    case 'call':
      return [end.next]
    default:
      return []
  }
}

/** Locals that are live when a block begins, for every block. */
export function liveness(blocks: readonly Block[]): Map<Block, Set<Local>> {
  const live = new Map<Block, Set<Local>>(blocks.map((b) => [b, new Set()]))
  for (let changed = true; changed; ) {
    changed = false
    for (let i = blocks.length - 1; i >= 0; i--) {
      const block = blocks[i] as Block
      const now = liveInto(block, live)
      const known = live.get(block) as Set<Local>
      if (now.size > known.size) {
        live.set(block, now)
        changed = true
      }
    }
  }
  return live
}

function liveInto(block: Block, live: Map<Block, Set<Local>>): Set<Local> {
  const end = block.end as Terminator
  const now = new Set<Local>()
  for (const s of successors(end)) for (const l of live.get(s) as Set<Local>) now.add(l)
  if (end.kind === 'yield' || end.kind === 'call') {
    if (end.into !== undefined) now.delete(end.into)
    if (end.kind === 'yield') back(now, end.effect)
    else {
      for (const a of end.args) back(now, a)
      back(now, end.callee)
    }
  } else if (end.kind === 'branch') back(now, end.cond)
  else if (end.kind === 'return' || end.kind === 'throw') back(now, end.value)
  for (let i = block.items.length - 1; i >= 0; i--) back(now, block.items[i] as Item)
  return now
}

function back(live: Set<Local>, item: Item): void {
  for (const d of item.defs) live.delete(d)
  for (const u of item.uses) live.add(u)
}
