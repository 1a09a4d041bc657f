/**
 * The race as a measure of the search: against the same protocol flattened by hand and run by
 * SPIN, with a second worker, and as large as it gets.
 */
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { check, loadDesigns, loadScenarios } from '../src/app/host/index.js'
import { Judges } from '../src/cell/judges.js'
import { search } from '../src/explore/prove/search.js'
import { CONTROL, tableOf } from '../src/explore/states/shared.js'
import { omissions } from '../src/explore/states/visited.js'
import { best, line, type Measured, perSecond } from './measured.js'
import { bootRace, type RaceSize, raceJudge } from './race.js'
import type { Searched } from './share-worker.js'
import { spinRace } from './spin.js'

const AGAINST_SPIN: RaceSize = { vcpus: 2, punches: 1, migrations: 1, rounds: 1 }
/** It lasts for seconds: before they are a pair, each worker learns the steps by itself. */
const FOR_WORKERS: RaceSize = { vcpus: 2, punches: 1, migrations: 0, rounds: 4 }
const TWO_GUESTS = [
  fileURLToPath(new URL('../../bench/two-guests.litmus', import.meta.url)),
  'upm',
] as const
/** About 10^9 states, by what the sizes before it have. */
const LARGEST: RaceSize = { vcpus: 2, punches: 1, migrations: 0, rounds: 14 }

const ROUNDS = 5
const CHECKS = 3
/** Searches before those that count, for V8 to learn the code. */
const WARM_UP = 8
const BYTES_FOR_WORKERS = 1 << 27
const BYTES_FOR_LARGEST = 14 * 2 ** 30

function ownRace(size: RaceSize): Measured {
  const judges = new Judges([raceJudge])
  bootRace(size)
  judges.attach()
  const start = performance.now()
  const { states } = search(judges, { bound: undefined, keepGoing: () => true })
  judges.detach()
  return { states, seconds: (performance.now() - start) / 1000 }
}

/** Rivals take turns, so that a busy machine is as busy for both. */
export function againstSpin(): string[] {
  const title = `race, ${JSON.stringify(AGAINST_SPIN)}, best of ${ROUNDS}`
  for (let i = 0; i < WARM_UP; i++) ownRace(AGAINST_SPIN)
  const own: Measured[] = []
  const rival: Measured[] = []
  for (let i = 0; i < ROUNDS; i++) {
    own.push(ownRace(AGAINST_SPIN))
    const theirs = spinRace(AGAINST_SPIN)
    if (typeof theirs === 'string') {
      return [title, line('lowered', best(own)), `  SPIN left out: ${theirs}`]
    }
    rival.push(theirs)
  }
  const [a, b] = [best(own), best(rival)]
  const ratio = (n: number): string => n.toFixed(2)
  return [
    title,
    line('lowered', a),
    line('SPIN', b),
    `  ${ratio(perSecond(a) / perSecond(b))} of SPIN's rate, ${ratio(a.seconds / b.seconds)} of its time to exhaust`,
    `  ${ratio(a.states / b.states)} of the states of the race flattened by hand`,
  ]
}

/** Several workers on one table; the time is that of the search alone. */
async function byWorkers(what: Searched, count: number, bytes: number): Promise<Measured> {
  const control = new SharedArrayBuffer(CONTROL.WORDS * 4)
  const table = tableOf(bytes)
  const file = new URL('./share-worker.js', import.meta.url)
  const workers = Array.from(
    { length: count },
    (_, worker) => new Worker(file, { workerData: { what, share: { worker, control, table } } }),
  )
  await Promise.all(workers.map((w) => once(w, 'message')))
  const start = performance.now()
  const answers = workers.map((w) => once(w, 'message'))
  for (const w of workers) w.postMessage('go')
  const counts = (await Promise.all(answers)).map(([n]) => n as number)
  const seconds = (performance.now() - start) / 1000
  return { states: counts.reduce((a, b) => a + b, 0), seconds }
}

/** The search of one worker and of two, in turns. */
async function inTurns(what: Searched, rounds: number, bytes: number): Promise<Measured[][]> {
  const runs: Measured[][] = [[], []]
  for (let i = 0; i < rounds; i++) {
    for (const n of [1, 2]) runs[n - 1]?.push(await byWorkers(what, n, bytes))
  }
  return runs
}

export async function secondWorker(): Promise<string[]> {
  const race = await inTurns({ race: FOR_WORKERS }, ROUNDS, BYTES_FOR_WORKERS)
  const kernel = await inTurns({ cell: TWO_GUESTS }, CHECKS, BYTES_FOR_WORKERS)
  const title = 'workers on one table, the search alone, best of'
  return [
    ...compared(`race, ${JSON.stringify(FOR_WORKERS)}, ${title} ${ROUNDS}`, race),
    ...compared(`kernel code, bench/two-guests on upm, ${title} ${CHECKS}`, kernel),
    ...(await secondOnWholeCheck()),
  ]
}

/** Whole checks, from the start of the first worker to the verdict, of a cell with retry loops. */
async function secondOnWholeCheck(): Promise<string[]> {
  const [scenarios, designs] = [loadScenarios([TWO_GUESTS[0]]), await loadDesigns([TWO_GUESTS[1]])]
  const runs: Measured[][] = [[], []]
  for (let i = 0; i < CHECKS; i++) {
    for (const workers of [1, 2]) {
      const { cells, seconds } = await check({ scenarios, designs, workers, cache: false })
      runs[workers - 1]?.push({ states: cells[0]?.verdict.states ?? 0, seconds })
    }
  }
  return compared(`the same, whole checks, workers started for each, best of ${CHECKS}`, runs)
}

function compared(title: string, runs: readonly Measured[][]): string[] {
  const [one, two] = runs.map(best) as [Measured, Measured]
  return [
    title,
    line('1 worker', one),
    line('2 workers', two),
    `  the second makes it ${(one.seconds / two.seconds).toFixed(2)} times as fast`,
  ]
}

/** Takes about twenty minutes and 14 GiB. */
export async function largest(): Promise<string[]> {
  const m = await byWorkers({ race: LARGEST }, 2, BYTES_FOR_LARGEST)
  return [
    `race, ${JSON.stringify(LARGEST)}, exhaustive, two workers`,
    line('2 workers', m),
    `  expected omissions ${omissions(m.states * 2).toExponential(1)}`,
  ]
}
