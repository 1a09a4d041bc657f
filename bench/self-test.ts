/**
 * The engine's self-test at length: `npm run self-test -- [programs] [first seed]`. Random small
 * programs, judged by every interleaving, the stateful and the stateless search; they must agree on
 * final states and findings. Prints how many were compared; fails if any differ.
 */
import { Dependence } from '../src/explore/stateless/independence.js'
import { disagreement, naive, stateful, stateless } from '../test/engine/opinions.js'
import { describeSample, sampleOf } from '../test/engine/programs.js'

const MOST_EXECUTIONS = 10_000
const MOST_STEPS = 20_000

const [programs = 10_000, first = 0] = process.argv.slice(2).map(Number)
const all = new Dependence()
const sums = { stateless: 0, classes: 0, naive: 0, interleavings: 0, different: 0 }

for (let seed = first; seed < first + programs; seed++) {
  const sample = sampleOf(seed)
  const one = stateful(sample)
  const second = stateless(sample, all, MOST_EXECUTIONS)
  const third = naive(sample, MOST_STEPS)
  if (second !== undefined) {
    sums.stateless++
    sums.classes += second.executions
  }
  if (third !== undefined) {
    sums.naive++
    sums.interleavings += third.executions
  }
  for (const other of [second, third]) {
    const wrong = other && disagreement(one, other)
    if (wrong === undefined) continue
    sums.different++
    process.stdout.write(`${describeSample(sample)}\n  ${wrong}\n`)
  }
}
process.stdout.write(
  [
    `${programs} random programs from seed ${first}, each by the stateful search (lowered) and by`,
    `  the stateless search (direct): ${sums.stateless} ended within ${MOST_EXECUTIONS} executions, ${sums.classes} in all`,
    `  every interleaving (lowered): ${sums.naive} ended within ${MOST_STEPS} steps, ${sums.interleavings} in all`,
    `${sums.different} mismatches\n`,
  ].join('\n'),
)
process.exitCode = sums.different === 0 ? 0 : 1
