/** What there is to try, each from a seed, so many times. */
import { setImmediate } from 'node:timers/promises'
import type { Draw } from '../engine/programs.js'
import { drawFrom } from '../engine/programs.js'
import { pairOf } from './cells.js'
import {
  checkpoints,
  designs,
  type InputKind,
  litmusFiles,
  mails,
  tokens,
  transcripts,
} from './inputs.js'
import { killed } from './kill.js'
import { type Drawn, scenarioOf } from './scenarios.js'
import { shrunk } from './shrink.js'
import { Team } from './team.js'
import {
  type Answer,
  bounded,
  differences,
  otherwise,
  type Plain,
  plain,
  replayed,
  resumed,
  sampled,
  stateless,
} from './ways.js'

export interface Limits {
  readonly seed: number
  readonly count: number
  /** Asked before each, with how many were tried. */
  goesOn(done: number): boolean
  /** Give some inputs to the command, too: each takes seconds. */
  readonly commands: boolean
  /** What has gone wrong. */
  tell(text: string): void
}

export interface Tried {
  /** How many of what. */
  readonly counts: Counts
  readonly failed: number
}

export type Counts = Readonly<Record<string, number>>

/** Counts of several runs. */
export function added(all: readonly Counts[]): Counts {
  const sum = new Map<string, number>()
  for (const [what, n] of all.flatMap((c) => Object.entries(c))) {
    sum.set(what, (sum.get(what) ?? 0) + n)
  }
  return Object.fromEntries(sum)
}

export function lineOf(counts: Counts): string {
  return Object.entries(counts)
    .map(([what, n]) => `${n} ${what}`)
    .join(', ')
}

export interface Fuzzer {
  /** How many, if nobody says. */
  readonly usual: number
  run(limits: Limits): Promise<Tried>
}

/**
 * A scenario with more states is left out: small ones show most, and cost least. Of the seeds, one
 * in five may have more, and one in fifty many.
 */
const mostStates = (seed: number): number =>
  seed % 50 === 0 ? 20_000 : seed % 5 === 0 ? 1500 : 500
const MOST_EXECUTIONS = 100
const RUNS = 12
const STOPS = 8

/** The search that all are compared with, or why there is none. */
function begin({ seed, text, design }: Drawn, most = mostStates(seed)): Plain | 'set-up' | 'large' {
  const pair = pairOf(text, design)
  try {
    return plain(pair, most) ?? 'large'
  } catch (error) {
    if (SKIPPED.has((error as Error).constructor.name)) return 'set-up'
    throw error
  }
}

/** Of a scenario that can't be checked: its set-up fails, or the machine has no room for it. */
const SKIPPED = new Set(['SetupFailure', 'LimitError'])

/** What the ways of judging a scenario differ in; counts the ways by name. */
async function disagreements(
  drawn: Drawn,
  one: Plain,
  team: Team,
  ways: Map<string, number>,
): Promise<string[]> {
  const pair = pairOf(drawn.text, drawn.design)
  const answers: (Answer | undefined)[] = [
    ...otherwise(pair),
    ...bounded(pair),
    resumed(pair, one, STOPS),
    stateless(pair, MOST_EXECUTIONS),
    sampled(pair, RUNS, drawn.seed),
    await team.ask(drawn, 2),
    await team.ask(drawn, 3),
  ]
  const wrong = replayed(pair, one)
  for (const a of answers) {
    if (a === undefined) continue
    const name = a.part === true ? `${a.by}, in part` : a.by
    ways.set(name, (ways.get(name) ?? 0) + 1)
    wrong.push(...differences(one, a))
  }
  return wrong
}

async function fuzzScenarios({ seed, count, goesOn, tell }: Limits): Promise<Tried> {
  const team = new Team(3)
  const ways = new Map<string, number>()
  const judge = async (drawn: Drawn, one: Plain, counts: Map<string, number>) => {
    try {
      return await disagreements(drawn, one, team, counts)
    } catch (error) {
      return [`crashed: ${(error as Error).stack}`]
    }
  }
  let [done, large, failing, failed, states] = [0, 0, 0, 0, 0]
  for (let n = seed; done < count && goesOn(done); n++) {
    const drawn = scenarioOf(n)
    const one = begin(drawn)
    if (one === 'large') large++
    if (one === 'set-up') failing++
    if (typeof one === 'string') continue
    done++
    states += one.states ?? 0
    const wrong = await judge(drawn, one, ways)
    if (wrong.length === 0) continue
    failed++
    const small = await shrunk(drawn.text, async (text) => {
      try {
        const less = { ...drawn, text }
        const plainly = begin(less)
        if (typeof plainly === 'string') return false
        return (await judge(less, plainly, new Map())).length > 0
      } catch {
        return false
      }
    })
    tell(`seed ${n}, on ${drawn.design}:\n  ${wrong.join('\n  ')}\n${small}`)
  }
  await team.end()
  const judged = [...ways].map(([by, times]) => [`times ${by}`, times] as const)
  const left = { 'too large': large, 'not set up': failing }
  return { counts: { scenarios: done, states, ...left, ...Object.fromEntries(judged) }, failed }
}

/** Kills of one scenario, and steps that it has at least. */
const KILLS = 20
const LEAST_STEPS = 3000
const KILLED_STATES = 20_000

async function fuzzKills({ seed, count, goesOn, tell }: Limits): Promise<Tried> {
  let [kills, cells, failed] = [0, 0, 0]
  for (let n = seed; kills < count && goesOn(kills); n++) {
    const drawn = scenarioOf(n)
    const one = begin(drawn, KILLED_STATES)
    if (typeof one === 'string' || one.steps < LEAST_STEPS) continue
    const draw = drawFrom(n)
    const wanted = Math.min(KILLS, count - kills)
    const { answer, kills: here, left } = await killed(drawn, one, wanted, draw)
    kills += here
    cells++
    const wrong = differences(one, answer)
    if (left.length > 0) wrong.push(`left behind: ${left.join(', ')}`)
    if (wrong.length === 0) continue
    failed++
    tell(`seed ${n}, on ${drawn.design}:\n  ${wrong.join('\n  ')}\n${drawn.text}`)
  }
  return { counts: { kills, checks: cells }, failed }
}

/** Tried by the command, an input takes seconds: few smaller ones are looked for. */
async function fuzzInputs(kind: InputKind, limits: Limits): Promise<Tried> {
  const { seed, count, goesOn, tell } = limits
  let [done, commands, failed] = [0, 0, 0]
  for (let n = seed; done < count && goesOn(done); n++) {
    // Signals are heard only between turns.
    await setImmediate()
    const draw: Draw = drawFrom(n)
    const text = kind.make(draw)
    done++
    let problem = kind.problem(text)
    let small = problem === undefined ? text : await shrunk(text, (t) => !!kind.problem(t))
    if (problem === undefined && limits.commands && n % kind.commandOf === 0) {
      commands++
      problem = await kind.byCommand(text)
      small = text
    }
    if (problem === undefined) continue
    failed++
    tell(`${kind.name}, seed ${n}: ${problem}\n${JSON.stringify(small)}`)
  }
  return { counts: { [kind.name]: done, 'by the command': commands }, failed }
}

const INPUTS = {
  litmus: [10_000, litmusFiles],
  tokens: [2000, tokens],
  transcripts: [3000, transcripts],
  designs: [200, designs],
  checkpoints: [100, checkpoints],
  mails: [1000, mails],
} as const

export const FUZZERS: ReadonlyMap<string, Fuzzer> = new Map<string, Fuzzer>([
  ['scenarios', { usual: 2000, run: fuzzScenarios }],
  ['kill', { usual: 200, run: fuzzKills }],
  ...Object.entries(INPUTS).map(([name, [usual, kind]]): [string, Fuzzer] => [
    name,
    { usual, run: (limits) => fuzzInputs(kind(), limits) },
  ]),
])
