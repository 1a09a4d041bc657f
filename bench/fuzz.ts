/**
 * The fuzzer, `npm run fuzz`: random scenarios in every way of searching, checks that are killed,
 * inputs with something wrong in them. Prints what was tried; of what goes wrong, the smallest
 * input that does, and the seed. A signal ends it as its time would: what was tried is said.
 */
import { parseArgs } from 'node:util'
import { askAll } from '../src/app/host/queue/ask.js'
import { serve } from '../src/app/host/queue/serve.js'
import { added, FUZZERS, lineOf, type Tried } from '../test/fuzz/fuzzers.js'
import { FUZZ, rangesOf } from '../test/fuzz/queue.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    count: { type: 'string' },
    time: { type: 'string' },
    queue: { type: 'string' },
    serve: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
})

function number(name: 'seed' | 'count' | 'time'): number | undefined {
  const text = values[name]
  if (text === undefined || /^\d+$/.test(text)) return text === undefined ? undefined : Number(text)
  throw new Error(`--${name} takes a whole number`)
}

if (values.help) {
  const kinds = [...FUZZERS].map(([name, { usual }]) => `  ${name.padEnd(12)} ${usual}`)
  process.stdout.write(`npm run fuzz -- [kind…] [--seed n] [--count n] [--time s]

kinds, and how many are tried of each (all kinds if none is named):
${kinds.join('\n')}

--seed n   the first; the next follow it (default: of the clock)
--count n  so many of each kind
--time s   seconds for each kind
--queue u  have workers try, by way of the Redis server at this URL
--serve    with --queue: be a worker, until a signal comes
`)
  process.exit(0)
}

const unknown = positionals.find((p) => !FUZZERS.has(p))
if (unknown !== undefined) {
  process.stderr.write(`there is no "${unknown}"; there are ${[...FUZZERS.keys()].join(', ')}\n`)
  process.exit(2)
}
const seed = number('seed') as number
const seconds = number('time') ?? Number.POSITIVE_INFINITY
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

const say = (text: string): void => void process.stderr.write(`${text}\n`)
const tell = (text: string): void => void process.stdout.write(`${text}\n`)

/** Milliseconds between two words about how far it is. */
const EVERY = 60_000

/** Says how many have been tried, now and then. */
function progressOf(name: string, begun: number): (done: number) => void {
  let told = begun
  return (done) => {
    const now = performance.now()
    if (now <= told + EVERY) return
    told = now
    say(`  ${name}: ${done}, ${((now - begun) / 1000).toFixed(0)} s`)
  }
}

/** On this machine. */
function tried(name: string, count: number, progress: (done: number) => void): Promise<Tried> {
  const end = performance.now() + seconds * 1000
  const goesOn = (done: number): boolean => {
    progress(done)
    return performance.now() < end && !stop.signal.aborted
  }
  return FUZZERS.get(name)!.run({ seed, count, goesOn, commands: true, tell })
}

/** Seconds that the server of a queue may be gone for. */
const PATIENCE = 60
const LOST_AFTER = 30

/** By workers. */
async function triedBy(
  url: string,
  name: string,
  count: number,
  progress: (done: number) => void,
): Promise<Tried> {
  const time = Number.isFinite(seconds) ? [AbortSignal.timeout(seconds * 1000)] : []
  const { answers } = await askAll(FUZZ, rangesOf(name, seed, count), new Map(), {
    ...{ url, patience: PATIENCE, what: `fuzz ${name}` },
    signal: AbortSignal.any([stop.signal, ...time]),
    onNotice: say,
    onAnswer: ({ told }) => told.forEach(tell),
    onDone: (jobs) => progress(jobs),
  })
  const known = answers.flatMap((a) => a ?? [])
  return {
    counts: added(known.map((a) => a.counts)),
    failed: known.reduce((sum, a) => sum + a.failed, 0),
  }
}

/** One job at a time: a thread has one machine. */
async function serveFuzz(url: string): Promise<void> {
  const { jobs } = await serve(FUZZ, {
    ...{ url, patience: PATIENCE, lostAfter: LOST_AFTER, threads: 1, allowDesigns: false },
    signal: stop.signal,
    onNotice: say,
    onReady: (who) => say(`${who}: ready`),
  })
  say(`${jobs} jobs`)
}

async function fuzz(): Promise<void> {
  let failures = 0
  for (const name of positionals.length > 0 ? positionals : FUZZERS.keys()) {
    if (stop.signal.aborted) break
    const begun = performance.now()
    const count = number('count') ?? FUZZERS.get(name)!.usual
    const progress = progressOf(name, begun)
    const { queue } = values
    const { counts, failed } = await (queue === undefined
      ? tried(name, count, progress)
      : triedBy(queue, name, count, progress))
    failures += failed
    const took = ((performance.now() - begun) / 1000).toFixed(0)
    tell(`${name}: seed ${seed}, ${lineOf(counts)}; ${failed} failures, ${took} s`)
  }
  process.exitCode = failures === 0 ? 0 : 1
}

if (values.serve !== true) await fuzz()
else if (values.queue !== undefined) await serveFuzz(values.queue)
else {
  say('--serve needs --queue')
  process.exitCode = 2
}
