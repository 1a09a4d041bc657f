/** What is odd about a cell, whatever was found on it. */
import type { CellResult } from '../app/results.js'
import { errnoName } from '../kernel/include/errno.js'

/** The largest number that a pointer or a result can hold for an error. */
const MAX_ERRNO = 4095

/** A call of the set-up failed, and something is done with its result: most likely a mistake. */
export function warningsOf({ file, verdict }: CellResult): string[] {
  const { variables, setup, main, finally: last } = file.scenario
  const values = verdict.outcomes[0]?.values
  if (values === undefined) return []
  return variables.flatMap(({ name, index }) => {
    const value = values[name] ?? 0
    if (name.includes(':') || value >= 0 || value < -MAX_ERRNO) return []
    const users = [setup, main, last].flatMap((p) => p?.tasks ?? []).flatMap((t) => t.operations)
    const user = users.find((o) => o.args.some((a) => 'variable' in a && a.variable === index))
    if (user === undefined) return []
    return [`the set-up ends with ${name} = ${errnoName(value)}, which ${user.text} uses`]
  })
}
