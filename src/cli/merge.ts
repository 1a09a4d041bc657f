/** `merge`: the shards of a check as one report. */
import { merged } from '../app/host/merged.js'
import { formatNamed } from '../report/host/formats.js'
import { print } from './check.js'

export interface MergeFlags {
  readonly design: readonly string[]
  readonly format?: string
}

/** Print what the shards in these files say together; returns the exit code. */
export async function merge(paths: readonly string[], flags: MergeFlags): Promise<number> {
  const { command, results } = await merged(paths, flags.design)
  const format = await formatNamed(flags.format ?? command.format)
  return print(results, format, command.named, command.limits.milliseconds)
}
