/**
 * Workers that are killed: `npm run campaign-test -- [--kills n] [--seed n] [scenario…]`. Four
 * workers answer a check on a queue, over and over, and each is killed with -9 at random moments and
 * replaced. One cell is large: it goes from worker to worker in slices, and workers are killed in
 * the middle of them. What the check says must be what one machine says, whatever was lost on the
 * way, and nothing may stay on the server for ever.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { builtInDesigns, resolveDesigns } from '../src/app/host/designs.js'
import { answerOnQueue } from '../src/app/host/queue/cell-answer.js'
import { Line } from '../src/app/host/queue/line.js'
import { type Answer, type CheckRequest, check } from '../src/app/host/run.js'
import { readScenarios } from '../src/app/host/scenarios.js'
import type { Results } from '../src/app/results.js'
import { drawFrom } from '../test/engine/programs.js'
import { NO_SERVER, RedisServer } from '../test/queue/server.js'

const MAIN = join(import.meta.dirname, '../src/cli/main.js')
const WORKERS = 4
/** Seconds that a lost job waits, and of a slice. */
const LOST_AFTER = 5
const SLICE = 1
/** The large cell: several slices, on any machine. */
const LARGE = {
  scenario: join(import.meta.dirname, '../../bench/two-guests.litmus'),
  design: 'upm',
}

const alive = new Set<ChildProcess>()

process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
  },
})
for (const [name, value] of Object.entries(values)) {
  if (!/^[1-9]\d*$/.test(value)) throw new Error(`--${name}: "${value}" is no number from 1`)
}
const wanted = Number(values.kills)
const seed = Number(values.seed)
const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

let kills = 0
let over = false
/** Milliseconds that a worker lives at most once it is ready: a few cells long. */
let longest = Number.POSITIVE_INFINITY

/** One worker after the other, each killed at a moment that is drawn. */
async function place(url: string, draw: (n: number) => number): Promise<void> {
  while (!over) {
    const times = ['--lost-after', String(LOST_AFTER), '--slice', String(SLICE)]
    const args = ['--queue', url, '--workers', '1', ...times]
    const child = spawn(process.execPath, [MAIN, 'worker', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    alive.add(child)
    const gone = once(child, 'exit')
    await Promise.race([once(child.stderr, 'data'), gone])
    const born = performance.now()
    const share = draw(1000) / 1000
    while (!over && performance.now() - born < share * longest) await sleep(20)
    if (kills < wanted && !over) {
      kills++
      child.kill('SIGKILL')
    }
    const [code] = await gone
    alive.delete(child)
    if (code !== null && !over) throw new Error(`a worker has ended by itself, with ${code}`)
  }
}

/** What does not depend on when and where it was found. */
function essence(all: readonly Results[]): string[] {
  const cells = all.flatMap((r) => r.cells)
  return cells.map(({ hash, verdict }) => JSON.stringify({ hash, ...verdict, ms: 0, bytes: 0 }))
}

async function campaign(): Promise<number> {
  const scenarios = readScenarios(positionals.length > 0 ? positionals : ['seals', 'size', 'stat'])
  const requests: readonly CheckRequest[] = [
    { scenarios, designs: builtInDesigns(), cache: false },
    {
      scenarios: readScenarios([LARGE.scenario]),
      designs: await resolveDesigns([LARGE.design]),
      cache: false,
    },
  ]
  /** All checks at the same time: the large cell is on the way while the others are. */
  const all = (answers: readonly Partial<CheckRequest>[]): Promise<Results[]> =>
    Promise.all(requests.map((r, i) => check({ ...r, ...answers[i] })))
  const one = essence(await all([]))
  say(`${one.length} cells on one machine`)
  const server = await RedisServer.start()
  const draw = drawFrom(seed)
  const places = Array.from({ length: WORKERS }, () => place(server.url, draw))
  let [rounds, wrong, lost, twice, slices] = [0, 0, 0, 0, 0]
  /** An answer that is looked at: for each job one, and none was taken in more often. */
  const counted = (what: string): Answer => {
    return async (jobs, listener) => {
      let taken = 0
      const onQueue = answerOnQueue({
        ...{ url: server.url, patience: 60, what: `round ${rounds}, ${what}` },
        onParts: (by) => {
          for (const part of Object.values(by)) {
            taken += part.jobs
            slices += part.slices
          }
        },
      })
      const run = await onQueue(jobs, listener)
      const there = run.verdicts.filter((v) => v !== undefined).length
      lost += jobs.length - there
      twice += taken - there
      return run
    }
  }
  let left: readonly string[] = []
  try {
    while (rounds === 0 || kills < wanted) {
      const begun = performance.now()
      const many = essence(
        await all([{ answer: counted('small cells') }, { answer: counted('a large one') }]),
      )
      rounds++
      // The first round begins with workers that are not there yet, and has no kills.
      if (rounds === 1) longest = (performance.now() - begun) / 4
      const differ = one.filter((v, i) => many[i] !== v).length
      if (differ > 0 || many.length !== one.length) wrong++
      say(`round ${rounds}: ${differ} of ${one.length} differ, ${kills} kills so far`)
    }
    over = true
    for (const child of alive) child.kill('SIGTERM')
    await Promise.all(places)
    left = await keysForEver(server.url)
  } finally {
    over = true
    for (const child of alive) child.kill('SIGTERM')
    await Promise.allSettled(places)
    await server.end()
  }
  say(
    `${kills} kills of ${WORKERS} workers, seed ${seed}: ${rounds} rounds of ${one.length} cells, ${slices} slices handed on`,
  )
  say(`${wrong} rounds differ, ${lost} answers lost, ${twice} there twice`)
  say(left.length === 0 ? 'no key without TTL left' : `without TTL: ${left.join(', ')}`)
  if (slices === 0) say('the large cell was not sliced: nothing is shown of slices')
  return wrong + lost + twice + left.length === 0 && slices > 0 ? 0 : 1
}

/** What stays on a server when nobody asks and nobody works. */
async function keysForEver(url: string): Promise<string[]> {
  const line = await Line.open(url, { patience: 10, onNotice: say })
  try {
    const keys = await line.redis.keys('*')
    const ends = await Promise.all(keys.map((key) => line.redis.ttl(key)))
    return keys.filter((_, i) => ends[i] === -1)
  } finally {
    line.close()
  }
}

if (NO_SERVER === undefined) process.exitCode = await campaign()
else {
  say(`skipped: ${NO_SERVER}`)
  process.exitCode = 4
}
