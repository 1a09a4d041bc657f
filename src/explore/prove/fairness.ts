/**
 * Loops without progress. A strongly connected part of the state graph holds an endless execution
 * in which no operation ever returns, for an operation that has returned does not come back. It is
 * a livelock if that execution is fair, that is, if it does not depend on somebody being passed
 * over:
 *
 * - a task that could always step does step (weak fairness);
 * - a task that waits for a lock and finds it free again and again gets it: Linux's locks queue;
 * - of the outcomes of a `choose` that is met again and again, each happens. A fault that may be
 *   injected is none of them: it may never strike.
 */

import type { Execution } from '../../cell/execution.js'
import type { Move } from '../../cell/schedule.js'
import { EFFECT, effectKind } from '../../machine/effects.js'
import { canStep, taskCount } from '../../machine/machine.js'
import { pendingOf } from '../../machine/task.js'

interface Edge {
  readonly from: number
  readonly to: number
  readonly move: Move
}

interface Node {
  readonly edges: Edge[]
  /** Bit masks of the tasks that can step here, of those that acquire a lock, that choose. */
  readonly enabled: number
  readonly locking: number
  readonly choosing: number
}

/** A fair loop: how to get into it from the component's root, and once around it. */
export interface Loop {
  readonly approach: readonly Move[]
  readonly round: readonly Move[]
}

/**
 * Look for a fair loop in the component whose root the execution stands in; it stands there again
 * afterwards. `nodeHere` numbers the present state, -1 if it is outside.
 */
export function fairLoop(run: Execution, nodeHere: () => number): Loop | undefined {
  const nodes = new Map<number, Node>()
  const root = nodeHere()
  explore(root, run, nodeHere, nodes)
  const round = fairPart(nodes)
  if (round === undefined) return undefined
  const entry = round[0] as Edge
  const approach = pathTo(root, (n) => n === entry.from, allEdges(nodes)) ?? []
  return { approach: approach.map((e) => e.move), round: round.map((e) => e.move) }
}

function allEdges(nodes: ReadonlyMap<number, Node>): (n: number) => readonly Edge[] {
  return (n) => nodes.get(n)?.edges ?? []
}

/** Depth first through the component. */
function explore(
  root: number,
  run: Execution,
  nodeHere: () => number,
  nodes: Map<number, Node>,
): void {
  const stack = [{ at: root, untried: run.moves() }]
  nodes.set(root, nodeOf())
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const move = top.untried.shift()
    if (move === undefined) {
      stack.pop()
      if (stack.length > 0) run.back()
      continue
    }
    run.take(move.task, move.choice)
    const to = run.over ? -1 : nodeHere()
    nodes.get(top.at)?.edges.push({ from: top.at, to, move })
    if (to >= 0 && !nodes.has(to)) {
      nodes.set(to, nodeOf())
      stack.push({ at: to, untried: run.moves() })
    } else run.back()
  }
}

function nodeOf(): Node {
  let enabled = 0
  let locking = 0
  let choosing = 0
  for (let n = 0; n < taskCount(); n++) {
    if (!canStep(n)) continue
    enabled |= 1 << n
    const kind = effectKind(pendingOf(n))
    if (kind >= EFFECT.LOCK && kind <= EFFECT.LOCK_EXCLUSIVE) locking |= 1 << n
    if (kind === EFFECT.CHOOSE) choosing |= 1 << n
  }
  return { edges: [], enabled, locking, choosing }
}

/**
 * A closed walk that is fair. What an unfair part has lost may make others of its steps unfair, so
 * a part is judged by itself, when nothing is left of it that leads out of it.
 */
function fairPart(nodes: ReadonlyMap<number, Node>): Edge[] | undefined {
  const open: (readonly number[])[] = [[...nodes.keys()]]
  for (let among = open.pop(); among !== undefined; among = open.pop()) {
    const edgesOf = fairEdges(new Set(among), nodes)
    const parts = components(among, edgesOf)
    const [only] = parts
    if (only === undefined || only.length < among.length) {
      open.push(...parts)
      continue
    }
    const judged = fairRound(only, nodes, edgesOf)
    if (judged === undefined) continue
    if ('walk' in judged) return judged.walk
    open.push(judged.kept)
  }
  return undefined
}

/** The steps that stay among some nodes, and whose choice has no outcome that does not. */
function fairEdges(
  among: ReadonlySet<number>,
  nodes: ReadonlyMap<number, Node>,
): (n: number) => readonly Edge[] {
  const edges = new Map<number, readonly Edge[]>()
  for (const n of among) {
    const { edges: all, choosing } = nodes.get(n) as Node
    const out = all.filter((e) => !among.has(e.to)).reduce((m, e) => m | (1 << e.move.task), 0)
    const risky = out & choosing
    edges.set(
      n,
      all.filter((e) => among.has(e.to) && ((risky >> e.move.task) & 1) === 0),
    )
  }
  return (n) => edges.get(n) ?? []
}

/** Once around a strongly connected part, or the nodes of it to which a fair loop has to keep. */
function fairRound(
  part: readonly number[],
  nodes: ReadonlyMap<number, Node>,
  edgesOf: (n: number) => readonly Edge[],
): { readonly walk: Edge[] } | { readonly kept: readonly number[] } | undefined {
  const moving = part.reduce((m, n) => edgesOf(n).reduce((k, e) => k | (1 << e.move.task), m), 0)
  const always = part.reduce((m, n) => m & (nodes.get(n) as Node).enabled, -1)
  if ((always & ~moving) !== 0) return undefined
  // Whoever waits for a lock gets it where it is free: the loop must keep away from there.
  const kept = part.filter((n) => ((nodes.get(n) as Node).locking & ~moving) === 0)
  if (kept.length < part.length) return { kept }
  return { walk: roundThrough(part, nodes, edgesOf, moving) }
}

/** Once around: a step of every task that moves, a state in which each of the others can't. */
function roundThrough(
  part: readonly number[],
  nodes: ReadonlyMap<number, Node>,
  edgesOf: (n: number) => readonly Edge[],
  moving: number,
): Edge[] {
  const start = part[0] as number
  const walk: Edge[] = []
  const here = (): number => walk.at(-1)?.to ?? start
  const goTo = (there: (n: number) => boolean): void => {
    walk.push(...(pathTo(here(), there, edgesOf) ?? []))
  }
  for (let t = 0; t < taskCount(); t++) {
    if ((moving & (1 << t)) === 0) {
      goTo((n) => ((nodes.get(n) as Node).enabled & (1 << t)) === 0)
      continue
    }
    if (walk.some((e) => e.move.task === t)) continue
    goTo((n) => edgesOf(n).some((e) => e.move.task === t))
    walk.push(edgesOf(here()).find((e) => e.move.task === t) as Edge)
  }
  goTo((n) => n === start)
  return walk
}

/** A shortest path, or undefined; empty if it is there already. */
function pathTo(
  from: number,
  there: (n: number) => boolean,
  edgesOf: (n: number) => readonly Edge[],
): Edge[] | undefined {
  const cameBy = new Map<number, Edge | undefined>([[from, undefined]])
  for (const n of cameBy.keys()) {
    if (there(n)) {
      const path: Edge[] = []
      for (let e = cameBy.get(n); e !== undefined; e = cameBy.get(e.from)) path.unshift(e)
      return path
    }
    for (const e of edgesOf(n)) if (e.to >= 0 && !cameBy.has(e.to)) cameBy.set(e.to, e)
  }
  return undefined
}

/** Strongly connected parts with at least one edge, by Kosaraju's two passes. */
function components(nodes: readonly number[], edgesOf: (n: number) => readonly Edge[]): number[][] {
  const back = new Map<number, number[]>(nodes.map((n) => [n, []]))
  for (const n of nodes) for (const e of edgesOf(n)) back.get(e.to)?.push(n)
  const order = postOrder(nodes, (n) => edgesOf(n).map((e) => e.to))
  const taken = new Set<number>()
  const parts: number[][] = []
  for (const root of order.reverse()) {
    if (taken.has(root)) continue
    const part = [root]
    taken.add(root)
    for (const n of part) {
      for (const m of back.get(n) ?? []) {
        if (taken.has(m)) continue
        taken.add(m)
        part.push(m)
      }
    }
    if (part.length > 1 || edgesOf(root).some((e) => e.to === root)) parts.push(part)
  }
  return parts
}

function postOrder(nodes: readonly number[], next: (n: number) => readonly number[]): number[] {
  const seen = new Set<number>()
  const order: number[] = []
  for (const root of nodes) {
    if (seen.has(root)) continue
    seen.add(root)
    const stack = [{ n: root, to: next(root), i: 0 }]
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const m = top.to[top.i++]
      if (m === undefined) {
        order.push(top.n)
        stack.pop()
      } else if (!seen.has(m)) {
        seen.add(m)
        stack.push({ n: m, to: next(m), i: 0 })
      }
    }
  }
  return order
}
