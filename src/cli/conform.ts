/** `conform`: programs of system calls on the model and on a real kernel, call by call. */
import { UserError } from '../app/error.js'
import { builtInTranscripts, readTranscript } from '../app/host/transcripts.js'
import { compareTranscript, type Difference } from '../conform/compare.js'
import { countByCall, describeDifference } from '../conform/describe.js'
import { Model, profileOf } from '../conform/model.js'
import type { Transcript } from '../conform/program.js'
import { LimitError } from '../machine/fault.js'
import { conformGuest } from './conform-guest.js'
import { conformLive, conformProbe } from './conform-live.js'
import { conformQemu } from './conform-qemu.js'
import { EXIT } from './exit.js'
import type { ConformFlags } from './flags.js'
import { out } from './terminal.js'

/** How many differing programs are shown unless all are asked for. */
const SHOWN = 3

/** The command as a whole; returns the exit code. */
export async function conform(flags: ConformFlags): Promise<number> {
  const { family: families, seed, count, record, queue: url, patience } = flags
  const all = flags.all === true
  if (flags.probe) return conformProbe()
  if (flags.qemu !== undefined) return conformQemu(flags.qemu, seed, record)
  if (flags.guest) return conformGuest(seed)
  if (flags.live || record !== undefined) {
    const ktap = flags.ktap === true
    const queue = url === undefined ? undefined : { url, patience }
    return conformLive({ families, seed, count, record, ktap, queue, all })
  }
  const paths = flags.transcript.length > 0 ? flags.transcript : builtInTranscripts()
  return conformTranscripts(paths, all)
}

/** Run the programs of recordings on the model; returns the exit code. */
export function conformTranscripts(paths: readonly string[], all: boolean): number {
  let code: number = EXIT.OK
  for (const path of paths) {
    const transcript = readTranscript(path)
    const { profile, exact } = profileOf(transcript.kernel)
    const differences = differencesOf(path, transcript, new Model(profile))
    out(`${path}\n${report(transcript, profile, differences, all)}`)
    if (differences.length > 0 && exact) code = EXIT.DIFFERS
  }
  return code
}

/** @throws UserError if a program needs more than the model has */
function differencesOf(path: string, transcript: Transcript, model: Model): Difference[] {
  try {
    return compareTranscript(transcript, model)
  } catch (error) {
    if (error instanceof LimitError) throw new UserError(`${path}: ${error.message}`)
    throw error
  }
}

function report(
  { kernel, arch, family, programs }: Transcript,
  profile: string,
  differences: readonly Difference[],
  all: boolean,
): string {
  const lines = [`  ${family} on Linux ${kernel} ${arch}, model of ${profile}`]
  const count = differences.length
  const where = count === 0 ? '' : `, first at ${countByCall(differences)}`
  lines.push(
    `  ${programs.length} programs, ${count === 0 ? 'none differs' : `${count} differ`}${where}`,
  )
  const shortest = differences.toSorted((a, b) => a.call - b.call)
  for (const d of all ? shortest : shortest.slice(0, SHOWN)) {
    lines.push('', `  seed ${d.program.seed}, call ${d.call + 1} of ${d.program.ops.length}`)
    lines.push(...describeDifference(d, ['kernel', 'model']).map((l) => `  ${l}`))
  }
  if (!all && count > SHOWN) lines.push('', `  and ${count - SHOWN} more: --all shows them`)
  return lines.join('\n')
}
