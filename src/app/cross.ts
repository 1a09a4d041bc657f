/**
 * Two opinions on a cell, and what they agree on: the stateful search over lowered code, and the
 * stateless one over the generators. They share the machine, the kernel and the sanitizers, and
 * nothing of how they search.
 */

import { Cell } from '../cell/cell.js'
import type { Listener } from '../cell/execution.js'
import type { Judges } from '../cell/judges.js'
import type { Design } from '../designs/design.js'
import { FinalStates } from '../explore/listen/finals.js'
import { search } from '../explore/prove/search.js'
import { exploreClasses } from '../explore/stateless/dpor.js'
import type { Scenario } from '../litmus/scenario.js'
import type { Mode } from '../machine/machine.js'

/** What both searches say of a cell. */
export interface Certificate {
  /**
   * `agrees`: both came to their end and say the same. `open`: the stateless search did not come to
   * its end, and contradicts nothing so far. `differs`: one of them is wrong.
   */
  readonly outcome: 'agrees' | 'open' | 'differs'
  /** Why it is open, or what differs. */
  readonly why: string | undefined
  readonly states: number
  /** Executions that the stateless search ran to their end, and those it gave up as known. */
  readonly executions: number
  readonly redundant: number
  /** Findings and final states of the stateful search; how many of them the stateless one saw. */
  readonly findings: readonly [number, number]
  readonly finalStates: readonly [number, number]
  /** What a third search says, which visits every state of a model of the cell. */
  readonly model: ModelOpinion | undefined
}

/** A search of every state, by other means. */
export interface WholeSearch {
  readonly states: number
  /** By id: does it come first on some execution? */
  readonly findings: ReadonlyMap<string, boolean>
  readonly finals: ReadonlySet<string>
}

/** What such a search says next to the stateful one. */
export interface ModelOpinion {
  readonly outcome: 'agrees' | 'differs' | 'missing'
  /** What differs, or why there is none. */
  readonly why: string | undefined
  readonly states: number
  /** As in a certificate. */
  readonly findings: readonly [number, number]
  readonly finalStates: readonly [number, number]
}

/** Judges the cell by a model of it, or says why it can't. */
export type AskModel = (scenario: Scenario, design: Design) => WholeSearch | string

export interface CrossLimits {
  /** Executions after which the stateless search is given up. */
  readonly executions: number
  /** False stops both. */
  readonly keepGoing: () => boolean
}

interface Opinion {
  /** Ids, with a plus if the finding only follows another one. */
  readonly findings: ReadonlySet<string>
  readonly finals: ReadonlySet<string>
}

function opinion<R>(
  scenario: Scenario,
  design: Design,
  mode: Mode,
  run: (judges: Judges, finals: Listener) => R & { seen: readonly [string, boolean][] },
): R & Opinion {
  const cell = new Cell(scenario, design)
  cell.boot(mode)
  const finals = new FinalStates()
  const result = run(cell.judges, finals)
  cell.judges.detach()
  const findings = marked(result.seen.map(([id, first]) => ({ id, first })))
  return { ...result, findings, finals: finals.keys }
}

/** Findings as opinions are compared by. */
export function marked(findings: readonly { id: string; first: boolean }[]): ReadonlySet<string> {
  return new Set(findings.map(({ id, first }) => (first ? id : `${id}+`)))
}

function stateful(scenario: Scenario, design: Design, limits: CrossLimits) {
  return opinion(scenario, design, 'lowered', (judges, finals) => {
    const { states, finished, witnesses } = search(judges, {
      bound: undefined,
      keepGoing: limits.keepGoing,
      listeners: [finals],
    })
    const seen = [...witnesses].map(([id, w]): [string, boolean] => [id, w.first])
    return { states, finished, seen }
  })
}

/** `mostSteps`: an execution of more never ends. */
function stateless(
  scenario: Scenario,
  design: Design,
  limits: CrossLimits,
  mostSteps: number | undefined,
) {
  return opinion(scenario, design, 'direct', (judges, finals) => {
    const { executions, blocked, unfinished, findings } = exploreClasses(judges, {
      listeners: [finals],
      ...(mostSteps === undefined ? {} : { mostSteps }),
      keepGoing: (n) => n < limits.executions && limits.keepGoing(),
    })
    const seen = [...findings].map(([id, f]): [string, boolean] => [id, f.first])
    return { executions, blocked, unfinished, seen }
  })
}

function common(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let n = 0
  for (const x of a) if (b.has(x)) n++
  return n
}

/** Judge a cell twice, or three times, and compare. The set-up must succeed. */
export function crossCheck(
  scenario: Scenario,
  design: Design,
  limits: CrossLimits,
  askModel?: AskModel,
): Certificate {
  return secondOpinion(stateful(scenario, design, limits), scenario, design, limits, askModel)
}

/** Compare what a stateful search has said of a cell with what others say. */
export function secondOpinion(
  one: One,
  scenario: Scenario,
  design: Design,
  limits: CrossLimits,
  askModel?: AskModel,
): Certificate {
  // An execution of more steps than there are states goes round in circles, and could for ever.
  const two = stateless(scenario, design, limits, one.finished ? one.states : undefined)
  const { outcome, why } = compare(one, two)
  const ask = (how: AskModel) =>
    limits.keepGoing() ? how(scenario, design) : 'the check was stopped before'
  const three = askModel === undefined ? undefined : ask(askModel)
  const model = three === undefined ? undefined : compareWhole(one, three)
  const wrong = model?.outcome === 'differs' ? `by the model, ${model.why}` : undefined
  return {
    ...counts(one, two),
    outcome: wrong === undefined ? outcome : 'differs',
    why: wrong === undefined || why === undefined ? (wrong ?? why) : `${why}; ${wrong}`,
    model,
  }
}

/** What a search of a model does not judge: it has no notion of fairness. */
const OF_LOOPS = 'livelock'

/**
 * Compare with a search of every state. Both must have the same number of them: a model merges
 * and splits no states.
 */
export function compareWhole(one: One, three: WholeSearch | string): ModelOpinion {
  const none = { states: 0, findings: [0, 0], finalStates: [0, 0] } as const
  if (typeof three === 'string') return { outcome: 'missing', why: three, ...none }
  if (!one.finished) return { outcome: 'missing', why: 'the first search was stopped', ...none }
  const there = new Set([...three.findings].map(([id, first]) => (first ? id : `${id}+`)))
  const here = new Set([...one.findings].filter((f) => f.replace('+', '') !== OF_LOOPS))
  const wrong: string[] = []
  const only = (a: ReadonlySet<string>, b: ReadonlySet<string>): string[] =>
    [...a].filter((x) => !b.has(x))
  if (three.states !== one.states) wrong.push(`${three.states} states instead of ${one.states}`)
  const [lost, extra] = [only(here, there), only(there, here)]
  if (lost.length > 0) wrong.push(`no ${lost.join(', ')}`)
  if (extra.length > 0) wrong.push(`also ${extra.join(', ')}`)
  const same = common(one.finals, three.finals)
  if (same < one.finals.size) wrong.push(`${one.finals.size - same} final states are missing`)
  if (same < three.finals.size) wrong.push(`${three.finals.size - same} final states are new`)
  return {
    outcome: wrong.length === 0 ? 'agrees' : 'differs',
    why: wrong.length === 0 ? undefined : wrong.join('; '),
    states: three.states,
    findings: [here.size, common(here, there)],
    finalStates: [one.finals.size, same],
  }
}

export interface One extends Opinion {
  readonly states: number
  readonly finished: boolean
}

interface Two extends Opinion {
  readonly executions: number
  readonly blocked: number
  readonly unfinished: string | undefined
}

function counts(one: One, two: Two): Omit<Certificate, 'outcome' | 'why' | 'model'> {
  return {
    states: one.states,
    executions: two.executions,
    redundant: two.blocked,
    findings: [one.findings.size, common(one.findings, two.findings)],
    finalStates: [one.finals.size, common(one.finals, two.finals)],
  }
}

/** What two opinions have in common, as far as both came to their end. */
export function compare(one: One, two: Two): Pick<Certificate, 'outcome' | 'why'> {
  const ended = one.finished && two.unfinished === undefined
  const plain = (findings: ReadonlySet<string>): Set<string> =>
    new Set([...findings].map((f) => f.replace('+', '')))
  // A search that has not ended may not know yet that a finding can come first.
  const extra = [...plain(two.findings)].filter((f) => !plain(one.findings).has(f))
  const newStates = two.finals.size - common(one.finals, two.finals)
  const wrong: string[] = []
  if (one.finished && extra.length > 0) wrong.push(`only the stateless one found ${extra}`)
  if (one.finished && newStates > 0) wrong.push(`${newStates} final states are new`)
  if (ended) {
    const missing = [...one.findings].filter((f) => !two.findings.has(f))
    const lost = one.finals.size - common(one.finals, two.finals)
    if (missing.length > 0) wrong.push(`only the stateful one found ${missing}`)
    if (lost > 0) wrong.push(`${lost} final states are missing`)
  }
  if (wrong.length > 0) return { outcome: 'differs', why: wrong.join('; ') }
  if (ended) return { outcome: 'agrees', why: undefined }
  return { outcome: 'open', why: two.unfinished ?? 'the stateful search was stopped' }
}
