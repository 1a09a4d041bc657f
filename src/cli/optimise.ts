/** When V8 optimises the code of a command. */
import { setFlagsFromString } from 'node:v8'

/**
 * How much code V8 runs before it optimises it, in bytes of bytecode; about four times what it would
 * by itself. A matrix runs a lot of code for a moment each, a replay a little code once
 * (docs/decisions/0015-latency.md).
 */
const INTERRUPT_BUDGET = 500_000

/**
 * For a command that runs kernel code for a moment; called before that is loaded, since V8 takes
 * compiled code only from where its flags were the same.
 */
export function optimiseLate(): void {
  setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`)
}
