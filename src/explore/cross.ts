/**
 * Two opinions on a cell, and what they agree on: the stateful search over lowered code, and the
 * stateless one over the generators. They share the machine, the kernel and the sanitizers, and
 * nothing of how they search.
 */
import type { Design } from '../designs/design.js'
import type { Scenario } from '../litmus/scenario.js'
import { undoMark } from '../machine/arena.js'
import type { Mode } from '../machine/machine.js'
import { Cell } from './cell.js'
import { exploreClasses } from './dpor.js'
import { FinalStates } from './finals.js'
import { search } from './search.js'

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
}

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
  run: (cell: Cell, finals: FinalStates) => R & { seen: readonly [string, boolean][] },
): R & Opinion {
  const cell = new Cell(scenario, design)
  cell.boot(mode)
  const finals = new FinalStates(undoMark())
  const result = run(cell, finals)
  cell.judges.detach()
  const findings = new Set(result.seen.map(([id, first]) => (first ? id : `${id}+`)))
  return { ...result, findings, finals: finals.keys }
}

function stateful(scenario: Scenario, design: Design, limits: CrossLimits) {
  return opinion(scenario, design, 'lowered', (cell, finals) => {
    const { states, finished, witnesses } = search(cell.judges, {
      bound: undefined,
      keepGoing: limits.keepGoing,
      atRest: (schedule) => cell.atRest(schedule),
      atFinal: () => finals.add(),
    })
    const seen = [...witnesses].map(([id, w]): [string, boolean] => [id, w.first])
    return { states, finished, seen }
  })
}

function stateless(scenario: Scenario, design: Design, limits: CrossLimits) {
  return opinion(scenario, design, 'direct', (cell, finals) => {
    const { executions, blocked, unfinished, findings } = exploreClasses(cell.judges, {
      atRest: () => cell.atRest(() => []),
      atFinal: () => finals.add(),
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

/** Judge a cell twice and compare. The set-up must succeed. */
export function crossCheck(scenario: Scenario, design: Design, limits: CrossLimits): Certificate {
  const one = stateful(scenario, design, limits)
  const two = stateless(scenario, design, limits)
  return { ...compare(one, two), ...counts(one, two) }
}

interface One extends Opinion {
  readonly states: number
  readonly finished: boolean
}

interface Two extends Opinion {
  readonly executions: number
  readonly blocked: number
  readonly unfinished: string | undefined
}

function counts(one: One, two: Two): Omit<Certificate, 'outcome' | 'why'> {
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
