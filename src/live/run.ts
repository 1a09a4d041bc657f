/** Programs on the running kernel, in this process: what the worker does with a message. */
import { Interpreter } from '../conform/interpret.js'
import type { Op, Result } from '../conform/program.js'
import { refusal } from './limits.js'
import type { Live } from './syscalls.js'

/** Run one program. @throws Error if it asks for what no program may ask for */
export function runLive(live: Live, ops: readonly Op[]): Result[] {
  const reason = refusal(ops)
  if (reason !== undefined) throw new Error(`refused: ${reason}`)
  return live.program((kernel) => {
    const interpreter = new Interpreter(kernel)
    return ops.map((op) => interpreter.run(op))
  })
}
