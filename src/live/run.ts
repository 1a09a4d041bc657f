/** Programs on the running kernel, in this process: what the worker does with a message. */
import { Interpreter } from '../conform/interpret.js'
import type { Op, Result } from '../conform/program.js'
import { hasGuest, refusal } from './limits.js'
import type { Live } from './syscalls.js'

/**
 * Run one program. `userAddress` is where its memslots point to: by default to memory that nobody
 * looks at, or, if there is a guest that might, to none. @throws Error if the program is refused
 */
export function runLive(live: Live, ops: readonly Op[], userAddress?: bigint): Result[] {
  const reason = refusal(ops)
  if (reason !== undefined) throw new Error(`refused: ${reason}`)
  const plain = ops.some(hasGuest) ? live.kvm.noMemory : live.kvm.plainMemory
  return live.program(userAddress ?? plain, (kernel) => {
    const interpreter = new Interpreter(kernel)
    return ops.map((op) => interpreter.run(op))
  })
}
