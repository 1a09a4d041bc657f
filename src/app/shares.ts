/**
 * One cell checked by several workers, each with a machine of its own. What they find is put
 * together as if one had found it.
 */

import { Cell, type Noted } from '../cell/cell.js'
import type { Design } from '../designs/design.js'
import type { Witness } from '../explore/listen/witnesses.js'
import type { SearchResult } from '../explore/prove/search.js'
import type { Share } from '../explore/states/shared.js'
import type { Scenario } from '../litmus/scenario.js'
import { booted, conclude, type Effort, run } from './check.js'
import type { Verdict } from './verdict.js'

/** What one worker has seen. Plain data. */
export interface ShareResult extends Noted {
  readonly result: SearchResult
}

/** What workers have seen of a cell, with one table after the other. Plain data. */
export interface Explored {
  readonly shares: readonly ShareResult[]
  /** Distinct states. */
  readonly states: number
  readonly outOfMemory: boolean
  readonly bytes: number
}

/**
 * From the shares with each table; `carried` states were in the last one when it was begun with. A
 * share is undefined if the cell can't be searched.
 */
export function exploredBy(
  rounds: readonly (readonly (ShareResult | undefined)[])[],
  carried = 0,
): Explored {
  const known = rounds.map((r) => r.flatMap((s) => s ?? []))
  const last = (known.at(-1) ?? []).map((s) => s.result)
  return {
    shares: known.flat(),
    states: carried + sum(last, (r) => r.states),
    outOfMemory: last.some((r) => r.outOfMemory),
    bytes: sum(last, (r) => r.bytes),
  }
}

/** Search a worker's share. Undefined if the cell can't be searched; the conclusion says why. */
export function exploreShare(
  scenario: Scenario,
  design: Design,
  effort: Effort,
  share: Share,
): ShareResult | undefined {
  const cell = booted(scenario, design, () => 0)
  if (!(cell instanceof Cell)) return undefined
  const result = run(cell, effort, { share })
  cell.judges.detach()
  return { result, ...cell.save() }
}

/** The verdict on all shares together. */
export function concludeShares(
  scenario: Scenario,
  design: Design,
  effort: Effort,
  explored: Explored,
  start: number,
): Verdict {
  const cell = booted(scenario, design, () => effort.now() - start)
  if (!(cell instanceof Cell)) return cell
  for (const s of explored.shares) cell.restore(s)
  const found = { result: together(explored), bound: undefined, surprises: undefined }
  return conclude(cell, found, scenario, design, effort, start)
}

function together({ shares, states, outOfMemory, bytes }: Explored): SearchResult {
  const results = shares.map((s) => s.result)
  // Who finishes has finished the whole search.
  const finished = results.some((r) => r.finished)
  return {
    states,
    steps: sum(results, (r) => r.steps),
    executions: sum(results, (r) => r.executions),
    finished,
    outOfMemory: !finished && outOfMemory,
    cut: false,
    witnesses: bestWitnesses(results.flatMap((r) => [...r.witnesses.values()])),
    // 61 bits of a fingerprint.
    omissions: states ** 2 / 2 ** 62,
    bytes,
  }
}

function sum(results: readonly SearchResult[], of: (r: SearchResult) => number): number {
  return results.reduce((n, r) => n + of(r), 0)
}

/** Of several for one finding, one on which it comes first, then one with few preemptions. */
function bestWitnesses(witnesses: readonly Witness[]): Map<string, Witness> {
  const best = new Map<string, Witness>()
  const rank = (w: Witness): number => (w.first ? 0 : 1e6) + w.preemptions
  for (const w of witnesses) {
    const known = best.get(w.id)
    if (known === undefined || rank(w) < rank(known)) best.set(w.id, w)
  }
  return best
}
