/** What processes have used of the CPU, where /proc tells. */
import { readdirSync, readFileSync } from 'node:fs'

/** Ticks of the processes' clocks in a second, as Linux counts them for users. */
const TICKS = 100

/**
 * CPU seconds of all living processes that a process has begun, with all of their threads, and with
 * `itself` its own. Undefined where nothing tells.
 */
export function cpuBelow(root: number, itself: boolean): number | undefined {
  const processes = new Map<number, { readonly parent: number; readonly ticks: number }>()
  try {
    for (const name of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
      const of = readProcess(name)
      if (of !== undefined) processes.set(Number(name), of)
    }
  } catch {
    return undefined
  }
  let ticks = itself ? (processes.get(root)?.ticks ?? 0) : 0
  for (const [id, of] of processes) {
    let up = id === root ? 0 : of.parent
    while (up > 0 && up !== root) up = processes.get(up)?.parent ?? 0
    if (up === root) ticks += of.ticks
  }
  return ticks / TICKS
}

function readProcess(id: string): { parent: number; ticks: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${id}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) }
  } catch {
    // It has ended.
    return undefined
  }
}
