/**
 * Check one scenario on one design. First an exhaustive search says what can go wrong; then, for
 * each finding, searches bounded to 0, 1, 2… preemptions give an execution with as few of them as
 * there can be.
 */

import { SetupFailure } from '../cell/boot.js'
import { Cell, type Noted } from '../cell/cell.js'
import type { Listener } from '../cell/execution.js'
import type { Design } from '../designs/design.js'
import type { Witness } from '../explore/listen/witnesses.js'
import {
  type SearchOptions,
  type SearchResult,
  type Snapshot,
  search,
} from '../explore/prove/search.js'
import type { Scenario } from '../litmus/scenario.js'
import { isExhaustive, type Question } from './ask.js'
import { expectationFor } from './expect.js'
import { failed, inFewBlocks, skipped, verdictOn } from './judge.js'
import type { Verdict } from './verdict.js'

/** A question, and what a search is given to answer it. */
export interface Effort extends Question {
  /** Most bytes for the visited states. */
  readonly memory?: number | undefined
  /** Go on where an earlier check was stopped. */
  readonly resume?: CellSnapshot | undefined
  /** Called now and then with states and depth; false stops the search. */
  readonly keepGoing: (states: number, depth: number, probe: CellProbe) => boolean
  /** Tell each finding in few blocks, too. */
  readonly gather?: boolean | undefined
  /** Hear of the search that proves. */
  readonly listeners?: readonly Listener[] | undefined
  /** Steps between two such calls, if not the usual number. */
  readonly askEvery?: number | undefined
  /** Milliseconds from some fixed point; the core has no clock of its own. */
  readonly now: () => number
}

/** What can be asked while a check is under way. */
export interface CellProbe {
  readonly bytes: number
  /** Undefined while there is nothing that could be resumed. */
  readonly snapshot: (() => CellSnapshot) | undefined
}

/** A check that was stopped in the middle. Plain data. */
export interface CellSnapshot extends Noted {
  readonly search: Snapshot
}

/** When the first finding is looked for: bounds that are tried if none is given. */
const FIND_PREEMPTIONS = 3
const FIND_SURPRISES = 2

/**
 * The verdict on a cell. Never throws for what the modelled kernel does; a scenario whose set-up
 * fails is `failed`, with the reason.
 *
 * @throws SnapshotError if `effort.resume` belongs to another check.
 */
export function checkScenario(scenario: Scenario, design: Design, effort: Effort): Verdict {
  const start = effort.now()
  const cell = booted(scenario, design, () => effort.now() - start)
  if (!(cell instanceof Cell)) return cell
  const found: Found = effort.find
    ? find(cell, effort)
    : { result: prove(cell, effort), bound: effort.bound, surprises: undefined }
  return conclude(cell, found, scenario, design, effort, start)
}

/** A cell that has booted, or the verdict on one that can't be searched. */
export function booted(scenario: Scenario, design: Design, spent: () => number): Cell | Verdict {
  const row = expectationFor(scenario, design)
  if (row?.outcome === 'skip') return skipped(scenario, design, row.why)
  const cell = new Cell(scenario, design)
  try {
    cell.boot('lowered')
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error
    return failed(scenario, design, error.message, spent())
  }
  return cell
}

/** From what a search has seen to a verdict; minimises if that is wanted. */
export function conclude(
  cell: Cell,
  { result, bound, surprises }: Found,
  scenario: Scenario,
  design: Design,
  effort: Effort,
  start: number,
): Verdict {
  const witnesses = new Map(result.witnesses)
  const wanted = effort.asMet !== true && isExhaustive(effort) && result.finished
  const fewest = wanted && minimise(cell, effort, witnesses)
  const cut = result.cut || !result.finished
  const verdict = verdictOn(cell, scenario, design, {
    proof: cut ? 'bounded' : 'exhaustive',
    stopped: !result.finished,
    states: result.states,
    executions: result.executions,
    witnesses,
    ms: effort.now() - start,
  })
  const findings = effort.gather === true ? inFewBlocks(cell, verdict.findings) : verdict.findings
  cell.judges.detach()
  return {
    ...verdict,
    findings,
    outOfMemory: result.outOfMemory,
    omissions: effort.exact === true ? 0 : result.omissions,
    exact: effort.exact === true,
    bytes: result.bytes,
    fewest,
    ...(cut ? { bound, surprises } : {}),
  }
}

/** Everything, or everything up to a bound. */
function prove(cell: Cell, effort: Effort): SearchResult {
  const { resume } = effort
  if (resume !== undefined) cell.restore(resume)
  const result = run(cell, effort, {
    bound: effort.bound,
    exact: effort.exact,
    resume: resume?.search,
    listeners: [cell.outcomes, ...(effort.listeners ?? [])],
    keepGoing: (states, depth, { bytes, snapshot }) =>
      effort.keepGoing(states, depth, {
        bytes,
        snapshot: snapshot && (() => ({ search: snapshot(), ...cell.save() })),
      }),
  })
  // With a bound, loops are not judged: it is no proof even if the bound cut nothing off.
  return effort.bound === undefined ? result : { ...result, cut: true }
}

export interface Found {
  readonly result: SearchResult
  /** The last bounds, up to which everything was looked at. */
  readonly bound: number | undefined
  readonly surprises: number | undefined
}

/** Bound after bound, until something is found or nothing is cut off any more. */
function find(cell: Cell, effort: Effort): Found {
  const most = effort.bound ?? FIND_PREEMPTIONS
  let last: Found | undefined
  for (let surprises = 0; surprises <= FIND_SURPRISES; surprises++) {
    for (let bound = 0; bound <= most; bound++) {
      const result = run(cell, effort, { bound, surprises, first: true })
      last = { result: { ...result, cut: true }, bound, surprises }
      if (result.witnesses.size > 0 || !result.finished || !result.cut) return last
    }
  }
  return last as Found
}

/** One search on a cell. */
export function run(cell: Cell, effort: Effort, options: Partial<SearchOptions>): SearchResult {
  return search(cell.judges, {
    bound: undefined,
    memo: cell.memo,
    memory: effort.memory,
    askEvery: effort.askEvery,
    keepGoing: (states, depth, { bytes }) =>
      effort.keepGoing(states, depth, { bytes, snapshot: undefined }),
    listeners: [cell.outcomes],
    ...options,
  })
}

/**
 * Replace each witness by one with fewer preemptions, as long as there is one: everything with at
 * most n is searched before n + 1. An execution on which a finding comes first is the better one,
 * whatever the bound. Livelocks are facts about the whole graph; a bounded search can't see them.
 * False if the search was stopped before that.
 */
function minimise(cell: Cell, effort: Effort, witnesses: Map<string, Witness>): boolean {
  for (let bound = 0; ; bound++) {
    const wanted = new Map<string, boolean>()
    for (const [id, w] of witnesses) {
      if (id !== 'livelock' && w.preemptions > bound) wanted.set(id, w.first)
    }
    if (wanted.size === 0) return true
    const { witnesses: found, finished } = run(cell, effort, { bound, wanted })
    for (const [id, first] of wanted) {
      const witness = found.get(id)
      if (witness?.first === first) witnesses.set(id, witness)
    }
    if (!finished) return false
  }
}
