/** `check` and the matrix: from the command line to a report on the standard output. */
import { UserError } from '../app/error.js'
import {
  builtInDesigns,
  designsNamedIn,
  designsOnMachine,
  resolveDesigns,
} from '../app/host/designs.js'
import { type Answer, check as run } from '../app/host/run.js'
import { builtInScenarios, hostScenarios, readScenarios } from '../app/host/scenarios.js'
import {
  type Command,
  commandOf,
  isOf,
  type Shard,
  shardFile,
  writeShard,
} from '../app/host/shard.js'
import type { CellResult, LoadedDesign, Results, ScenarioFile } from '../app/results.js'
import { type Story, tell } from '../app/story.js'
import type { Finding } from '../app/verdict.js'
import { MACHINES } from '../hosts/host.js'
import { designsOn } from '../hosts/index.js'
import { suggest } from '../litmus/error.js'
import type { Format } from '../report/format.js'
import { formatNamed } from '../report/host/formats.js'
import { EXIT } from './exit.js'
import { exitCodeOf } from './exit-codes.js'
import type { CheckFlags } from './flags.js'
import { builtLists } from './list.js'
import { Interruption, lookFor, out, ProgressLine, say } from './terminal.js'

/** Executions that a second opinion may take if the user does not say. */
const CROSS_EXECUTIONS = 20_000

/** Check scenarios on designs and print the result; returns the exit code. */
export async function check(names: readonly string[], flags: CheckFlags): Promise<number> {
  const format = await formatNamed(flags.format)
  const named = flags.design.length > 0
  const asked = await designsFor(flags)
  const scenarios = scenariosFor(names, asked, flags.host)
  const all = !named && flags.host === undefined
  const designs = all ? [...asked, ...designsNamedIn(scenarios.map((f) => f.scenario))] : asked
  if (designs.every((d) => d.module === undefined)) sayUnknownMarks(scenarios)
  if (flags.promela !== undefined) await writePromela(scenarios, designs, flags.promela)
  const progress = new ProgressLine()
  const interruption = new Interruption()
  const question = questionOf(flags)
  const limits = {
    milliseconds: flags.time === undefined ? undefined : flags.time * 1000,
    bytes: flags.memory === undefined ? undefined : flags.memory * 2 ** 20,
  }
  const { shard } = flags
  const results = await run({
    scenarios,
    designs,
    question,
    limits,
    only: shard && ((cell) => isOf(shard, cell)),
    answer: await answerOf(flags, names),
    workers: flags.workers,
    cache: flags.cache,
    checkpoint: flags.checkpoint,
    onProgress: (p) => progress.update(p),
    onNotice: say,
    signal: interruption.signal,
  })
  progress.clear()
  if (shard !== undefined && !results.interrupted) {
    const { host } = flags
    const command = commandOf(scenarios, designs, {
      question,
      limits,
      format: flags.format,
      named,
      host,
    })
    return saveShard(shard, command, results, flags.result)
  }
  const code = shard === undefined ? print(results, format, named, limits.milliseconds) : EXIT.OK
  interruption.release()
  if (!results.interrupted) return code
  const file = shard === undefined ? '' : '; no file is written'
  const left = unfinished(results)
  const what =
    left > 0
      ? `${left} of ${results.asked} cells were not finished`
      : `every cell has its verdict${flags.cross === undefined ? '' : '; a second search was not finished'}`
  say(`interrupted: ${what}${file}`)
  return EXIT.SIGNAL + interruption.number
}

/** Print results; returns the exit code. Stories of a cell may take so many milliseconds. */
export function print(
  results: Results,
  format: Format,
  named: boolean,
  milliseconds: number | undefined,
): number {
  const code = exitCodeOf(results.cells.map((c) => c.verdict))
  process.exitCode = code
  const stories = storiesOf(format.wants(results), milliseconds)
  out(format.render(results, stories, lookFor(process.stdout, named)))
  return code
}

/** Who answers: workers on a queue, if one is named. */
async function answerOf(
  { queue, patience }: CheckFlags,
  names: readonly string[],
): Promise<Answer | undefined> {
  if (queue === undefined) return undefined
  const { answerOnQueue } = await import('../app/host/queue/cell-answer.js')
  const { partLines } = await import('./queue.js')
  return answerOnQueue({
    ...{ url: queue, patience, what: ['check', ...names].join(' ') },
    onParts: (by) => partLines(by).forEach(say),
  })
}

/** What its cells say is for `merge` to tell. */
function saveShard(shard: Shard, command: Command, results: Results, path?: string): number {
  const { number, of } = shard
  const file = path ?? `shard-${number}-of-${of}.json`
  writeShard(file, shardFile(shard, command, results))
  say(`shard ${number} of ${of}: ${results.cells.length} cells, written to ${file}`)
  return EXIT.OK
}

/**
 * The designs that are named, or all; with --host, as they run on that machine. @throws UserError
 */
async function designsFor({ design, host }: CheckFlags): Promise<readonly LoadedDesign[]> {
  const named = design.length > 0 ? await resolveDesigns(design) : builtInDesigns()
  if (host === undefined) return named
  // Designs that one host alone has are in no list of designs.
  return design.length > 0 ? designsOnMachine(named, host) : resolveDesigns(namesOn(host))
}

/** Names of all designs on a machine. */
function namesOn(host: string): readonly string[] {
  const machine = MACHINES.find((m) => m === host)
  return machine === undefined ? [] : designsOn(machine).map((d) => d.id)
}

/**
 * The scenarios that are named, or all; with --host, those about that machine. @throws UserError
 */
function scenariosFor(
  names: readonly string[],
  designs: readonly LoadedDesign[],
  host: string | undefined,
): readonly ScenarioFile[] {
  const ids = designs.map((d) => d.id)
  if (host === undefined)
    return names.length > 0 ? readScenarios(names, ids) : builtInScenarios(ids)
  const all = names.length > 0 ? readScenarios(names, ids) : hostScenarios(ids)
  const about = all.filter((f) => f.scenario.hosts.some((h) => h === host))
  if (about.length > 0) return about
  throw new UserError(`none of these scenarios is about the host "${host}": theirs is another one`)
}

/**
 * A mark that no kernel code passes, most likely misspelt; a design of one's own may have others.
 */
function sayUnknownMarks(scenarios: readonly ScenarioFile[]): void {
  const own = scenarios.filter((f) => !f.builtIn)
  const reached = own.flatMap(({ path, scenario }) =>
    scenario.reach.map((mark) => ({ path, mark })),
  )
  if (reached.length === 0) return
  const marks = builtLists().marks.map(({ name }) => name)
  for (const { path, mark } of reached) {
    if (marks.includes(mark)) continue
    say(`${path}: no kernel code passes a mark "${mark}".${suggest(mark, marks)}`)
  }
}

/** The findings that a format tells, within the time for each cell. */
function storiesOf(
  wanted: readonly (readonly [CellResult, Finding])[],
  milliseconds: number | undefined,
): Map<Finding, Story> {
  const begun = new Map<CellResult, number>()
  const stories = new Map<Finding, Story>()
  for (const [cell, finding] of wanted) {
    const start = begun.get(cell) ?? performance.now()
    begun.set(cell, start)
    const left = (): boolean => performance.now() - start < (milliseconds ?? Infinity)
    stories.set(finding, tell(cell, finding, left))
  }
  return stories
}

function unfinished({ cells, asked }: Results): number {
  return asked - cells.filter((c) => !c.verdict.stopped).length
}

function questionOf(flags: CheckFlags) {
  const { bound, find, exact, sample, seed, cross, undeclared } = flags
  return {
    bound,
    find,
    exact,
    undeclared,
    sample,
    seed: sample === undefined ? undefined : seed,
    cross: cross === true ? CROSS_EXECUTIONS : cross,
  }
}

async function writePromela(
  scenarios: readonly ScenarioFile[],
  designs: readonly LoadedDesign[],
  path: string,
): Promise<void> {
  const [file] = scenarios
  const [design] = designs
  const cells = scenarios.length * designs.length
  if (file === undefined || design === undefined || cells > 1) {
    throw new UserError(`--promela is for one scenario on one design; ${cells} are named`)
  }
  // Only now: making models needs the whole of TypeScript.
  const { writeModel } = await import('../app/host/model.js')
  for (const gap of writeModel(file.scenario, design.design, path)) {
    say(`not in the model: ${gap}`)
  }
}
