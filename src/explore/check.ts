/**
 * Check one scenario on one design. First an exhaustive search says what can go wrong; then, for
 * each finding, searches bounded to 0, 1, 2… preemptions give an execution with as few of them as
 * there can be.
 */

import { SetupFailure } from '../cell/boot.js'
import { Cell } from '../cell/cell.js'
import type { Move } from '../cell/schedule.js'
import type { Design } from '../designs/design.js'
import { conditionHolds, expectationFor, judgeExpectation } from '../litmus/expect.js'
import type { Scenario } from '../litmus/scenario.js'
import type { Witness } from './listen/witnesses.js'
import { type SearchOptions, type SearchResult, type Snapshot, search } from './prove/search.js'
import { gather } from './tell/gather.js'
import { decodeToken, encodeToken } from './token.js'
import type { Finding, Outcome, Proof, Verdict } from './verdict.js'

/** How far to look. */
export interface Effort {
  /** Most preemptions on an execution; undefined for all. */
  readonly bound: number | undefined
  /** Also find, for each finding, an execution with the fewest preemptions. */
  readonly minimise: boolean
  /**
   * Look for the first finding instead of all: executions with no choice out of the ordinary and
   * 0, 1, 2… preemptions up to `bound`, then with one such choice, and so on.
   */
  readonly find?: boolean
  /** Keep whole states instead of fingerprints: nothing can be omitted. */
  readonly exact?: boolean
  /** Most bytes for the visited states. */
  readonly memory?: number | undefined
  /** Go on where an earlier check was stopped. */
  readonly resume?: CellSnapshot | undefined
  /** Called now and then with states and depth; false stops the search. */
  readonly keepGoing: (states: number, depth: number, probe: CellProbe) => boolean
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
export interface CellSnapshot {
  readonly search: Snapshot
  readonly outcomes: ReadonlyMap<string, readonly Move[]>
  readonly marks: readonly string[]
}

/** When the first finding is looked for: bounds that are tried if none is given. */
const FIND_PREEMPTIONS = 3
const FIND_SURPRISES = 2

/**
 * The verdict on a cell. Never throws for what the modelled kernel does; a scenario whose set-up
 * fails is `skipped` with the reason.
 *
 * @throws SnapshotError if `effort.resume` belongs to another check.
 */
export function checkScenario(
  scenario: Scenario,
  design: Design,
  hash: string,
  effort: Effort,
): Verdict {
  const start = effort.now()
  const row = expectationFor(scenario, design.id)
  if (row?.outcome === 'skip') return skipped(scenario, design, row.why, 0)
  const cell = new Cell(scenario, design)
  try {
    cell.boot('lowered')
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error
    return skipped(scenario, design, error.message, effort.now() - start)
  }
  const found: Found = effort.find
    ? find(cell, effort)
    : { result: prove(cell, effort), bound: effort.bound, surprises: undefined }
  return conclude(cell, found, scenario, design, hash, effort, start)
}

/** From what a search has seen to a verdict; minimises if that is wanted. */
export function conclude(
  cell: Cell,
  { result, bound, surprises }: Found,
  scenario: Scenario,
  design: Design,
  hash: string,
  effort: Effort,
  start: number,
): Verdict {
  const witnesses = new Map(result.witnesses)
  if (effort.minimise && result.finished) minimise(cell, effort, witnesses)
  cell.judges.detach()
  const verdict = verdictOf(scenario, design, hash, cell, result, witnesses, effort.now() - start)
  const omissions = effort.exact === true ? 0 : result.omissions
  const facts = { ...verdict, omissions, exact: effort.exact === true, bytes: result.bytes }
  return verdict.proof === 'bounded' ? { ...facts, bound, surprises } : facts
}

/** Everything, or everything up to a bound. */
function prove(cell: Cell, effort: Effort): SearchResult {
  const { resume } = effort
  if (resume !== undefined) cell.restore(resume.outcomes, resume.marks)
  const result = run(cell, effort, {
    bound: effort.bound,
    exact: effort.exact,
    resume: resume?.search,
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
    memory: effort.memory,
    keepGoing: (states, depth, { bytes }) =>
      effort.keepGoing(states, depth, { bytes, snapshot: undefined }),
    atRest: (schedule) => cell.atRest(schedule),
    ...options,
  })
}

/**
 * Replace each witness by one with fewer preemptions, as long as there is one: everything with at
 * most n is searched before n + 1. An execution on which a finding comes first is the better one,
 * whatever the bound. Livelocks are facts about the whole graph; a bounded search can't see them.
 */
function minimise(cell: Cell, effort: Effort, witnesses: Map<string, Witness>): void {
  for (let bound = 0; ; bound++) {
    const wanted = new Map<string, boolean>()
    for (const [id, w] of witnesses) {
      if (id !== 'livelock' && w.preemptions > bound) wanted.set(id, w.first)
    }
    if (wanted.size === 0) return
    const { witnesses: found, finished } = run(cell, effort, { bound, wanted })
    for (const [id, first] of wanted) {
      const witness = found.get(id)
      if (witness?.first === first) witnesses.set(id, witness)
    }
    if (!finished) return
  }
}

function verdictOf(
  scenario: Scenario,
  design: Design,
  hash: string,
  cell: Cell,
  result: SearchResult,
  witnesses: ReadonlyMap<string, Witness>,
  ms: number,
): Verdict {
  const token = (schedule: readonly Move[]): string =>
    encodeToken({ scenario: scenario.name, design: design.id, hash, schedule })
  const findings = [...witnesses.values()].map((w) => findingOf(w, token))
  findings.sort((a, b) => Number(b.first) - Number(a.first) || a.id.localeCompare(b.id))
  const outcomes: Outcome[] = [...cell.outcomes].map(([key, schedule]) => ({
    values: JSON.parse(key) as Record<string, number>,
    token: token(schedule),
  }))
  const missing = neverReached(scenario, cell.judges.marks, outcomes)
  const proof: Proof = result.finished && !result.cut ? 'exhaustive' : 'bounded'
  const word =
    findings.length > 0
      ? 'finding'
      : !result.finished
        ? 'inconclusive'
        : missing.length > 0
          ? 'vacuous'
          : 'clean'
  const facts: Verdict = {
    scenario: scenario.name,
    design: design.id,
    verdict: word,
    proof,
    bound: undefined,
    stopped: !result.finished,
    outOfMemory: result.outOfMemory,
    states: result.states,
    executions: result.executions,
    ms,
    findings,
    outcomes,
    asExpected: undefined,
    reason: missing.length > 0 ? `never reached: ${missing.join(', ')}` : undefined,
  }
  const judged = judgeExpectation(scenario, facts)
  return { ...facts, ...judged, reason: judged.reason ?? facts.reason }
}

/** What the scenario says some execution does, and none did. */
export function neverReached(
  scenario: Scenario,
  marks: ReadonlySet<string>,
  outcomes: readonly Outcome[],
): string[] {
  const never = scenario.conditions.filter(
    (c) => c.kind === 'sometimes' && !conditionHolds(c, scenario.variables, outcomes),
  )
  return [...scenario.reach.filter((m) => !marks.has(m)), ...never.map((c) => c.text)]
}

export function findingOf(w: Witness, token: (schedule: readonly Move[]) => string): Finding {
  return {
    id: w.id,
    title: w.message,
    task: w.task,
    function: w.function,
    steps: w.schedule.length,
    preemptions: w.preemptions,
    first: w.first,
    token: token(w.schedule),
  }
}

/** The same finding, told in few blocks. */
export function gathered(scenario: Scenario, design: Design, finding: Finding): Finding {
  const { hash, schedule } = decodeToken(finding.token)
  const told = gather(scenario, design, { ...finding, schedule })
  if (told.schedule === schedule) return finding
  const names = { scenario: scenario.name, design: design.id, hash }
  return {
    ...finding,
    token: encodeToken({ ...names, schedule: told.schedule }),
    steps: told.schedule.length,
    preemptions: told.preemptions,
  }
}

export function skipped(scenario: Scenario, design: Design, reason: string, ms: number): Verdict {
  return {
    scenario: scenario.name,
    design: design.id,
    verdict: 'skipped',
    proof: undefined,
    bound: undefined,
    stopped: false,
    states: 0,
    executions: 0,
    ms,
    findings: [],
    outcomes: [],
    asExpected: undefined,
    reason,
  }
}
