/** From text to a cell, in the threads and processes of the fuzzer. */
import { knownNames } from '../../src/app/known.js'
import { DESIGNS } from '../../src/designs/index.js'
import { readScenario } from '../../src/litmus/scenario.js'
import type { Pair } from './ways.js'

/** A scenario on a design; both are known to be right. */
export function pairOf(text: string, design: string): Pair {
  const found = DESIGNS.find((d) => d.id === design)
  if (found === undefined) throw new Error(`there is no design ${design}`)
  return { scenario: readScenario(text, knownNames()), design: found }
}
