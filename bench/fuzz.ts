/**
 * The fuzzer, `npm run fuzz`: random scenarios in every way of searching, checks that are killed,
 * inputs with something wrong in them. Prints what was tried; of what goes wrong, the smallest
 * input that does, and the seed. A signal ends it as its time would: what was tried is said.
 */
import { parseArgs } from 'node:util'
import { FUZZERS, type Limits } from '../test/fuzz/fuzzers.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    count: { type: 'string' },
    time: { type: 'string' },
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
let failures = 0
let stopped = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (stopped = true))

/** Milliseconds between two words about how far it is. */
const EVERY = 60_000

for (const name of positionals.length > 0 ? positionals : FUZZERS.keys()) {
  if (stopped) break
  const { usual, run } = FUZZERS.get(name)!
  const end = performance.now() + seconds * 1000
  const begun = performance.now()
  let told = begun
  const limits: Limits = {
    seed,
    count: number('count') ?? usual,
    goesOn: (done) => {
      const now = performance.now()
      if (now > told + EVERY) {
        told = now
        process.stderr.write(`  ${name}: ${done}, ${((now - begun) / 1000).toFixed(0)} s\n`)
      }
      return now < end && !stopped
    },
    commands: true,
    tell: (text) => process.stdout.write(`${text}\n`),
  }
  const { line, failed } = await run(limits)
  failures += failed
  const took = ((performance.now() - begun) / 1000).toFixed(0)
  process.stdout.write(`${name}: seed ${seed}, ${line}; ${failed} failures, ${took} s\n`)
}
process.exitCode = failures === 0 ? 0 : 1
