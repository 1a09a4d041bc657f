/** `conform --qemu`: programs that break memory, on a kernel of their own and on the model. */
import { existsSync, writeFileSync } from 'node:fs'
import { UserError } from '../app/error.js'
import { packagedFile } from '../app/host/package.js'
import { readTranscript } from '../app/host/transcripts.js'
import { compareAll } from '../conform/compare.js'
import { describeDifference } from '../conform/describe.js'
import { CALLS } from '../conform/generate.js'
import { POISON_STORIES, poisonProgram } from '../conform/generate-poison.js'
import { Model, profileOf } from '../conform/model.js'
import { formatHeader, formatProgram, type Recorded } from '../conform/program.js'
import { Random } from '../conform/random.js'
import { missingPackages, QemuError, runInQemu } from '../live/qemu/machine.js'
import { EXIT } from './exit.js'
import { out } from './terminal.js'

/** Random programs after the stories. */
const PROGRAMS = 100

/** `packageFile` is a linux-image package of Debian's. */
export async function conformQemu(
  packageFile: string,
  seed: number,
  record: string | undefined,
): Promise<number> {
  const missing = missingPackages()
  if (missing.length > 0) {
    out(`skipped: this needs programs of Debian's: apt-get install ${missing.join(' ')}`)
    return EXIT.SKIPPED
  }
  if (!existsSync(packageFile)) {
    throw new UserError(
      `${packageFile}: no such file. A kernel comes with: apt-get download linux-image-6.1.0-50-amd64`,
    )
  }
  const programs = [
    ...POISON_STORIES.map((ops, i) => ({ seed: i, ops })),
    ...Array.from({ length: PROGRAMS }, (_, i) => {
      const number = seed + POISON_STORIES.length + i
      return { seed: number, ops: poisonProgram(new Random(number), CALLS) }
    }),
  ]
  try {
    const ops = programs.map((p) => p.ops)
    const { kernel, results } = await runInQemu(packageFile, packagedFile(INIT), ops)
    const recorded = programs.map((p, i) => ({ ...p, res: results[i] ?? [] }))
    const header = { kernel, arch: 'x86_64', family: 'memory-failure' } as const
    if (record !== undefined) {
      const lines = [formatHeader(header), ...recorded.map(formatProgram)]
      writeFileSync(record, `${lines.join('\n')}\n`)
      readTranscript(record)
    }
    return report(kernel, recorded)
  } catch (error) {
    if (!(error instanceof QemuError)) throw error
    throw new UserError(error.message)
  }
}

const INIT = 'src/live/qemu/init.c'

/** Compare with the nearest profile; a kernel that has none of its own may differ. */
function report(kernel: string, recorded: readonly Recorded[]): number {
  const { profile, exact } = profileOf(kernel)
  const model = new Model(profile)
  const others = recorded.map((p) => model.run(p.ops))
  const differences = compareAll(recorded, others)
  out(`Linux ${kernel} x86_64 in QEMU, model of ${profile}`)
  for (const d of differences) {
    const story = describeDifference(d, ['kernel', 'model'])
    out([`\n  seed ${d.program.seed}`, ...story.map((l) => `  ${l}`)].join('\n'))
  }
  const count = differences.length
  out(`  ${recorded.length} programs: ${count === 0 ? 'none differs' : `${count} differ`}`)
  if (!exact) out('No profile is of this kernel: it may well differ.')
  return count > 0 && exact ? EXIT.DIFFERS : EXIT.OK
}
