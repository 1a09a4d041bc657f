/** The results of a check whose shards lie in files. */
import { designNamed } from '../../hosts/index.js'
import { readScenario } from '../../litmus/scenario.js'
import { knownNames } from '../known.js'
import type { LoadedDesign, Results, ScenarioFile } from '../results.js'
import { designsOnMachine, resolveDesigns, tokenHash } from './designs.js'
import { CODE, packagedFile } from './package.js'
import { type Command, designOf, merge, readShard } from './shard.js'

/** What the shards in these files were asked, and what they say; `own` are files of designs. */
export async function merged(
  paths: readonly string[],
  own: readonly string[],
): Promise<{ readonly command: Command; readonly results: Results }> {
  const { command, verdicts, seconds } = merge(paths.map((p) => [p, readShard(p)]))
  const designs = await designsOf(command, own)
  const files = filesOf(command, designs)
  const cells = files
    .flatMap((file) => designs.map((design) => ({ file, design })))
    .map((cell, i) => {
      const verdict = verdicts[i]
      if (verdict === undefined) throw new Error(`merged without cell ${i}`)
      return { ...cell, verdict, hash: tokenHash(cell.file.text, cell.design) }
    })
  const { version } = CODE
  return { command, results: { version, cells, asked: cells.length, interrupted: false, seconds } }
}

/** The designs of the shards: built in, or where the user says. A file of others names none. */
async function designsOf(command: Command, paths: readonly string[]): Promise<LoadedDesign[]> {
  const named = await resolveDesigns(paths)
  const { host } = command
  const own = host === undefined || named.length === 0 ? named : designsOnMachine(named, host)
  return command.designs.map((d) => {
    const design = d.path === undefined ? designNamed(d.id) : undefined
    const builtIn = design && {
      id: d.id,
      module: undefined,
      identity: d.id,
      design,
      path: undefined,
    }
    return designOf(d, builtIn === undefined ? own : [builtIn])
  })
}

function filesOf({ scenarios }: Command, designs: readonly LoadedDesign[]): ScenarioFile[] {
  const known = knownNames(designs.map((d) => d.id))
  return scenarios.map(({ name, path, text }) => {
    const scenario = readScenario(text, known)
    const builtIn = path === undefined
    return { path: path ?? packagedFile(`litmus/${name}.litmus`), builtIn, text, scenario }
  })
}
