/** Whose turn it may be. */
import { canStep, isDaemon, taskCount } from '../machine/machine.js'

/** The task that is tried as number `i`, when `running` is tried first. */
export function inOrder(running: number, i: number): number {
  if (running < 0) return i
  if (i === 0) return running
  return i <= running ? i - 1 : i
}

/** A task that can step and is no daemon, or -1. */
export function someRunner(): number {
  for (let n = 0; n < taskCount(); n++) if (canStep(n) && !isDaemon(n)) return n
  return -1
}
