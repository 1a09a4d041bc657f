/** Programs of which no order matters, run to their end: the boot of a kernel, and a set-up. */
import type { KernelFault } from './fault.js'
import {
  allEnded,
  canStep,
  hasEnded,
  operationOf,
  type StepResult,
  step,
  taskCount,
} from './machine.js'

/** A program that is still running after so many steps of each task does not end. */
const MOST_ROUNDS = 1_000_000

/**
 * Run a program of one task to its end, as a set-up does; `stepped` hears of every step. Returns the
 * fault or the name of the operation that cannot go on, if the program did not end.
 */
export function runToEnd(
  stepped: (result: StepResult) => void = () => {},
): KernelFault | string | undefined {
  for (let rounds = 0; rounds < MOST_ROUNDS; rounds++) {
    let moved = false
    for (let n = 0; n < taskCount(); n++) {
      if (hasEnded(n) || !canStep(n)) continue
      const result = step(n, 0)
      const { fault, remarks } = result
      stepped(result)
      if (fault !== undefined) return fault
      if (remarks[0] !== undefined) return `${remarks[0].id}: ${remarks[0].message}`
      moved = true
    }
    if (allEnded()) return undefined
    if (!moved) return `${operationOf(0)?.text ?? 'the set-up'} never returns`
  }
  return `${operationOf(0)?.text ?? 'the set-up'} runs for ever`
}
