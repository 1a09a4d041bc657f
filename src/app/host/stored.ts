/** Verdicts as text that goes from one process to another, and back. */
import type { Move } from '../../cell/schedule.js'
import type { SamplerResult } from '../../explore/sample/sample.js'
import type { Limits, Question } from '../ask.js'
import type { Certificate, ModelOpinion } from '../cross.js'
import { packSchedule, TokenError, unpackSchedule } from '../token.js'
import type { Finding, Outcome, Verdict } from '../verdict.js'
import * as is from './narrow.js'

const digits = is.matching(/^[\w-]*$/, 'a schedule as in a token')

const schedule: is.Read<readonly Move[]> = (value, where) => {
  try {
    return unpackSchedule(digits(value, where))
  } catch (error) {
    if (error instanceof TokenError) throw new is.NotAsWritten(`${where}: ${error.message}`)
    throw error
  }
}

const finding = is.fields<Finding>({
  id: is.text,
  title: is.text,
  task: is.text,
  function: is.text,
  steps: is.count,
  preemptions: is.count,
  first: is.flag,
  schedule,
})

const outcome = is.fields<Outcome>({ values: is.byName(is.real), schedule })

const counts = is.pair(is.count, is.count)

const model = is.fields<ModelOpinion>({
  outcome: is.oneOf('agrees', 'differs', 'missing'),
  why: is.maybe(is.text),
  states: is.count,
  findings: counts,
  finalStates: counts,
})

const cross = is.fields<Certificate>({
  outcome: is.oneOf('agrees', 'open', 'differs'),
  why: is.maybe(is.text),
  states: is.count,
  executions: is.count,
  redundant: is.count,
  findings: counts,
  finalStates: counts,
  model: is.maybe(model),
})

const sampler = is.fields<SamplerResult>({
  name: is.text,
  runs: is.count,
  cut: is.count,
  guarantee: is.text,
  found: is.byName(is.count),
})

/** A verdict from what `packed` has made of it. */
export const readVerdict = is.fields<Verdict>({
  scenario: is.text,
  design: is.text,
  verdict: is.oneOf('clean', 'finding', 'inconclusive', 'vacuous', 'skipped', 'failed'),
  proof: is.maybe(is.oneOf('exhaustive', 'bounded', 'sampled')),
  bound: is.maybe(is.count),
  surprises: is.maybe(is.count),
  stopped: is.flag,
  fewest: is.maybe(is.flag),
  outOfMemory: is.maybe(is.flag),
  omissions: is.maybe(is.real),
  exact: is.maybe(is.flag),
  bytes: is.maybe(is.count),
  states: is.count,
  executions: is.count,
  ms: is.real,
  reused: is.maybe(is.flag),
  findings: is.list(finding),
  outcomes: is.list(outcome),
  expects: is.flag,
  asExpected: is.maybe(is.flag),
  difference: is.maybe(is.oneOf('missing', 'unexpected', 'condition', 'vacuous')),
  unannounced: is.maybe(is.list(is.text)),
  cross: is.maybe(cross),
  samplers: is.maybe(is.list(sampler)),
  seed: is.maybe(is.count),
  cut: is.maybe(is.fields({ runs: is.count, steps: is.count })),
  reason: is.maybe(is.text),
})

/** For `JSON.stringify`: schedules as in tokens. */
export function packed(name: string, value: unknown): unknown {
  return name === 'schedule' ? packSchedule(value as readonly Move[]) : value
}

export const readQuestion = is.fields<Question>({
  bound: is.maybe(is.count),
  find: is.maybe(is.flag),
  exact: is.maybe(is.flag),
  asMet: is.maybe(is.flag),
  sample: is.maybe(is.count),
  seed: is.maybe(is.count),
  undeclared: is.maybe(is.flag),
  cross: is.maybe(is.count),
})

export const readLimits = is.fields<Limits>({
  milliseconds: is.maybe(is.real),
  bytes: is.maybe(is.count),
})
