/**
 * When a command is taken to hang: it has used more of the CPU than any input is worth, or none at
 * all for as long. How long it takes says little, on a machine that has other things to do.
 */
import { cpuBelow } from '../cpu.js'

/** In milliseconds: how often it is looked at. */
const EVERY = 2000

/**
 * Watch a process and all that it begins; `hangs` is called at most once. `patience` is in seconds,
 * of its CPU time or of standing still; without /proc, of the time that passes. Returns what ends
 * the watch.
 */
export function watch(pid: number, patience: number, hangs: () => void, every = EVERY): () => void {
  let used = -1
  let since = performance.now()
  const timer = setInterval(() => {
    const now = cpuBelow(pid, true)
    if (now !== undefined && now !== used) {
      used = now
      since = performance.now()
    }
    const stands = (performance.now() - since) / 1000
    if ((now ?? 0) < patience && stands < patience) return
    clearInterval(timer)
    hangs()
  }, every)
  return () => clearInterval(timer)
}
