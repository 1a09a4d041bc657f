/**
 * One cell checked by several workers, each with a machine of its own. What they find is put
 * together as if one had found it; if that can't be done for certain, the caller is told, and
 * checks the cell with one worker.
 */

import { SetupFailure } from '../cell/boot.js'
import { Cell, type Noted } from '../cell/cell.js'
import type { Design } from '../designs/design.js'
import type { Witness } from '../explore/listen/witnesses.js'
import type { SearchResult } from '../explore/prove/search.js'
import { type Share, waitInCircle } from '../explore/states/shared.js'
import type { Scenario } from '../litmus/scenario.js'
import { lockClassCount } from '../machine/task.js'
import { conclude, type Effort, run } from './check.js'
import type { Verdict } from './verdict.js'

/** What one worker has seen. Plain data. */
export interface ShareResult extends Noted {
  readonly result: SearchResult
}

/**
 * Search a worker's share. Undefined if the cell is not for several workers: its set-up fails, or
 * numbers came up during the search that may mean different things to different workers.
 */
export function exploreShare(
  scenario: Scenario,
  design: Design,
  effort: Effort,
  share: Share,
): ShareResult | undefined {
  const cell = new Cell(scenario, design)
  try {
    cell.boot('lowered')
  } catch (error) {
    if (error instanceof SetupFailure) return undefined
    throw error
  }
  const classes = lockClassCount()
  const result = run(cell, effort, { share })
  cell.judges.detach()
  return lockClassCount() === classes ? { result, ...cell.save() } : undefined
}

/**
 * The verdict on all shares together. Undefined if the state graph may have a cycle: loops are
 * judged on the whole graph, by one worker.
 */
export function concludeShares(
  scenario: Scenario,
  design: Design,
  effort: Effort,
  shares: readonly (ShareResult | undefined)[],
  start: number,
): Verdict | undefined {
  const all: ShareResult[] = []
  for (const s of shares) {
    if (s?.result.unclosed === undefined) return undefined
    all.push(s)
  }
  const result = together(all.map((s) => s.result))
  if (result.finished && waitInCircle(result.unclosed ?? [])) return undefined
  const cell = new Cell(scenario, design)
  cell.boot('lowered')
  for (const s of all) cell.restore(s)
  const found = { result, bound: undefined, surprises: undefined }
  return conclude(cell, found, scenario, design, effort, start)
}

function together(results: readonly SearchResult[]): SearchResult {
  const sum = (of: (r: SearchResult) => number): number => results.reduce((n, r) => n + of(r), 0)
  const states = sum((r) => r.states)
  return {
    states,
    steps: sum((r) => r.steps),
    executions: sum((r) => r.executions),
    finished: results.every((r) => r.finished),
    outOfMemory: results.some((r) => r.outOfMemory),
    cut: false,
    witnesses: bestWitnesses(results.flatMap((r) => [...r.witnesses.values()])),
    // 61 bits of a fingerprint.
    omissions: states ** 2 / 2 ** 62,
    bytes: sum((r) => r.bytes),
    unclosed: results.flatMap((r) => r.unclosed ?? []),
  }
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
