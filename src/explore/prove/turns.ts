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
