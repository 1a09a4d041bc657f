/** Whose turn it is, of a set of tasks given as bits. */

/** `running` if it is among them, else the one with the lowest number. */
export function firstOf(tasks: number, running: number): number {
  if (running >= 0 && (tasks >> running) & 1) return running
  return 31 - Math.clz32(tasks & -tasks)
}

/** The one with the highest number. */
export function lastOf(tasks: number): number {
  return 31 - Math.clz32(tasks)
}

/** One that depends on the state and the worker, so that workers part wherever they meet. */
export function someOf(tasks: number, state: number, worker: number): number {
  const from = Math.imul(state ^ worker, 0x9e3779b1) >>> 29
  return firstOf(tasks & (-1 << from) || tasks, -1)
}
