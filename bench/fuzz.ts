/**
 * The fuzzer: `npm run fuzz -- [scenarios|kill|litmus|tokens|transcripts|designs|checkpoints|mails]
 * [--seed n] [--count n] [--time s]`, all of them if none is named. Random scenarios in every way of
 * searching, checks that are killed, inputs with something wrong in them. Prints what was tried;
 * of what goes wrong, the smallest input that does, and the seed.
 */
import { parseArgs } from 'node:util'
import { FUZZERS, type Limits } from '../test/fuzz/fuzzers.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    count: { type: 'string' },
    time: { type: 'string' },
  },
})

function number(name: 'seed' | 'count' | 'time'): number | undefined {
  const text = values[name]
  if (text === undefined || /^\d+$/.test(text)) return text === undefined ? undefined : Number(text)
  throw new Error(`--${name} takes a whole number`)
}

const unknown = positionals.find((p) => !FUZZERS.has(p))
if (unknown !== undefined) {
  process.stderr.write(`there is no "${unknown}"; there are ${[...FUZZERS.keys()].join(', ')}\n`)
  process.exit(2)
}
const seed = number('seed') as number
const seconds = number('time') ?? Number.POSITIVE_INFINITY
let failures = 0
for (const name of positionals.length > 0 ? positionals : FUZZERS.keys()) {
  const { usual, run } = FUZZERS.get(name)!
  const end = performance.now() + seconds * 1000
  const begun = performance.now()
  const limits: Limits = {
    seed,
    count: number('count') ?? usual,
    goesOn: () => performance.now() < end,
    commands: true,
    tell: (text) => process.stdout.write(`${text}\n`),
  }
  const { line, failed } = await run(limits)
  failures += failed
  const took = ((performance.now() - begun) / 1000).toFixed(0)
  process.stdout.write(`${name}: seed ${seed}, ${line}; ${failed} failures, ${took} s\n`)
}
process.exitCode = failures === 0 ? 0 : 1
