/** `conform --live`: random programs on the running kernel and on the model. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { UserError } from '../app/error.js'
import type { Difference } from '../conform/compare.js'
import { countByCall, describeDifference, describeOp, describeRule } from '../conform/describe.js'
import { differential, shrinkDifference } from '../conform/differential.js'
import { FAMILIES, type Family } from '../conform/generate.js'
import { type Explanation, Model, profileOf } from '../conform/model.js'
import { formatHeader, formatProgram } from '../conform/program.js'
import { suggest } from '../litmus/error.js'
import { runElsewhere } from '../live/elsewhere.js'
import { NoLiveKernel } from '../live/libc.js'
import { Oracle } from '../live/oracle.js'
import { type Capabilities, describeCapabilities, missingFor } from '../live/probe.js'
import { dictionary } from '../patch/host/dictionary.js'
import { modelsOf } from '../patch/model/dictionary.js'
import { EXIT } from './exit.js'
import { Interruption, out, ProgressLine, say } from './terminal.js'

export interface LiveOptions {
  readonly families: readonly string[]
  /** First seed. */
  readonly seed: number
  /** Programs for each family. */
  readonly count: number
  readonly record: string | undefined
  readonly ktap: boolean
  /** Server by way of which workers run them, and seconds that it may be gone for. */
  readonly queue?: { readonly url: string; readonly patience: number } | undefined
  /** Show every program that differs. */
  readonly all: boolean
}

/** How many differing programs are shrunk and shown unless all are asked for. */
const SHOWN = 3

/** How many are shrunk for each that is shown: many turn out to be the same. */
const TRIED = 5

/** A difference, and where the model's answer came from. */
interface Shown {
  readonly difference: Difference
  readonly why: Explanation
  /** Whether it came back when the program ran again. */
  readonly again: boolean
}

/** What came of one family. */
export interface Outcome {
  readonly family: Family
  /** Why nothing ran. */
  readonly skipped?: string
  readonly programs: number
  readonly calls: number
  readonly differences: readonly Difference[]
  /** The first differences, shrunk. */
  readonly shown: readonly Shown[]
  readonly seconds: number
}

function familiesOf(names: readonly string[]): readonly Family[] {
  for (const name of names) {
    if ((FAMILIES as readonly string[]).includes(name)) continue
    throw new UserError(
      `there is no family "${name}".${suggest(name, FAMILIES)} Known are ${FAMILIES.join(', ')}.`,
    )
  }
  return names.length === 0 ? FAMILIES : (names as readonly Family[])
}

/** Start a worker, or say why there can be none. */
export async function startOracle(ktap: boolean): Promise<Oracle | undefined> {
  try {
    return await Oracle.start()
  } catch (error) {
    if (!(error instanceof NoLiveKernel)) throw error
    out(ktap ? `KTAP version 1\n1..0 # SKIP ${error.message}` : `skipped: ${error.message}`)
    return undefined
  }
}

/** `conform --probe`: what a run could use here. */
export async function conformProbe(): Promise<number> {
  const oracle = await startOracle(false)
  if (oracle === undefined) return EXIT.SKIPPED
  const capabilities = await oracle.probe()
  await oracle.end()
  for (const [name, value] of describeCapabilities(capabilities)) out(`${name.padEnd(28)}${value}`)
  return EXIT.OK
}

export async function conformLive(options: LiveOptions): Promise<number> {
  const families = familiesOf(options.families)
  if (options.record !== undefined && families.length !== 1) {
    throw new UserError('a recording is of one family: say which with --family')
  }
  const oracle = await startOracle(options.ktap)
  if (oracle === undefined) return EXIT.SKIPPED
  const stop = new Interruption()
  try {
    const capabilities = await oracle.probe()
    const { profile, exact } = profileOf(capabilities.release)
    const title = `Linux ${capabilities.release} ${capabilities.arch}, model of ${profile}`
    out(options.ktap ? `KTAP version 1\n# ${title}\n1..${families.length}` : title)
    const outcomes: Outcome[] = []
    const model = new Model(profile)
    for (const family of families) {
      const outcome = await runFamily(family, capabilities, oracle, model, options, stop)
      outcomes.push(outcome)
      const number = outcomes.length
      out(options.ktap ? ktapOf(outcome, number, exact, profile) : textOf(outcome, profile))
      if (stop.number > 0) break
    }
    if (!exact) out(`${options.ktap ? '# ' : ''}No profile is of this kernel: it may well differ.`)
    return stop.number > 0 ? EXIT.SIGNAL + stop.number : codeOf(outcomes, exact)
  } finally {
    stop.release()
    await oracle.end()
  }
}

function codeOf(outcomes: readonly Outcome[], exact: boolean): number {
  if (exact && outcomes.some((o) => o.differences.length > 0)) return EXIT.DIFFERS
  return outcomes.some((o) => o.programs > 0) ? EXIT.OK : EXIT.SKIPPED
}

async function runFamily(
  family: Family,
  capabilities: Capabilities,
  oracle: Oracle,
  model: Model,
  options: LiveOptions,
  stop: Interruption,
): Promise<Outcome> {
  const nothing = { family, programs: 0, calls: 0, differences: [], shown: [] }
  const skipped = missingFor(family, capabilities)
  if (skipped !== undefined) return { ...nothing, skipped, seconds: 0 }
  const start = performance.now()
  const progress = new ProgressLine()
  const onProgress = (programs: number, differ: number): void =>
    progress.show(`${family}  ${programs} of ${options.count}  ${differ} differ`)
  const { seed: first, count, queue } = options
  const { programs, calls, differences } =
    queue === undefined
      ? await runHere(family, capabilities, oracle, model, options, { stop, onProgress })
      : await runElsewhere({ family, first, count }, capabilities, oracle, model, {
          ...{ ...queue, signal: stop.signal, onNotice: say, onProgress },
        })
  const seconds = (performance.now() - start) / 1000
  const shown = await shownOf(differences, oracle, model, options.all ? Infinity : SHOWN)
  progress.clear()
  return { family, programs, calls, differences, shown, seconds }
}

/** Run the programs of a family on this machine. */
async function runHere(
  family: Family,
  capabilities: Capabilities,
  oracle: Oracle,
  model: Model,
  options: LiveOptions,
  { stop, onProgress }: { stop: Interruption; onProgress(programs: number, differ: number): void },
): Promise<Pick<Outcome, 'programs' | 'calls' | 'differences'>> {
  const recording = record(options.record, family, capabilities)
  const differences: Difference[] = []
  let [programs, calls] = [0, 0]
  for await (const b of differential(family, options.seed, options.count, oracle, model)) {
    programs += b.programs.length
    calls += b.programs.reduce((sum, p) => sum + p.res.length, 0)
    differences.push(...b.differences)
    for (const p of b.programs) recording.write(formatProgram(p))
    onProgress(programs, differences.length)
    if (stop.number > 0) break
  }
  recording.close()
  return { programs, calls, differences }
}

/** Where the programs of a family go, if anywhere. */
function record(path: string | undefined, family: Family, { release, arch }: Capabilities) {
  if (path === undefined) return { write: () => {}, close: () => {} }
  const file = openSync(path, 'w')
  const write = (line: string): void => {
    writeSync(file, `${line}\n`)
  }
  // What comes behind the version is the name of somebody's build.
  const [kernel = release] = /^[\d.]+/.exec(release) ?? []
  write(formatHeader({ kernel, arch, family }))
  return { write, close: () => closeSync(file) }
}

/** The first differences, each as short as it gets. */
async function shownOf(
  differences: readonly Difference[],
  oracle: Oracle,
  model: Model,
  most: number,
): Promise<readonly Shown[]> {
  const shown = new Map<string, Shown>()
  const candidates = differences.toSorted((a, b) => a.call - b.call).slice(0, most * TRIED)
  for (const d of candidates) {
    if (shown.size >= most) break
    const shortest = await shrinkDifference(d, oracle, model)
    const difference = shortest ?? d
    const ops = difference.program.ops.slice(0, difference.call + 1)
    const text = ops.map(describeOp).join('\n')
    if (shown.has(text)) continue
    shown.set(text, { difference, why: model.explain(ops), again: shortest !== undefined })
  }
  return [...shown.values()]
}

/** Which function of Linux one of the model stands for, of a version where there are several. */
function modelsIn(version: string): (cName: string) => string | undefined {
  const words = dictionary()
  return (cName) => modelsOf(words, cName, version)
}

function storyOf({ difference: d, why, again }: Shown, version: string): string[] {
  const { seed, ops } = d.program
  return [
    `seed ${seed}, ${again ? `shortened to ${counted(ops.length, 'call')}` : 'not seen again'}`,
    ...describeDifference(d, ['kernel', 'model']),
    ...describeRule(why, ops.slice(0, d.call + 1), modelsIn(version)),
  ]
}

function counted(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}

function summaryOf(o: Outcome): string[] {
  const rate = Math.round(o.programs / Math.max(o.seconds, 0.001))
  const { length } = o.differences
  const lines = [`${counted(o.programs, 'program')}, ${o.calls} calls, ${rate}/s`]
  lines.push(length === 0 ? 'none differs' : `${length} differ, at ${countByCall(o.differences)}`)
  return lines
}

function textOf(o: Outcome, version: string): string {
  const name = o.family.padEnd(13)
  if (o.skipped !== undefined) return `  ${name}skipped: ${o.skipped}`
  const lines = summaryOf(o).map((l, i) => `  ${i === 0 ? name : ' '.repeat(13)}${l}`)
  for (const s of o.shown) lines.push('', ...storyOf(s, version).map((l) => `  ${l}`))
  const hidden = o.differences.length - o.shown.length
  if (hidden > 0) lines.push('', `  and ${hidden} more: --all shows them`)
  return lines.join('\n')
}

function ktapOf(o: Outcome, number: number, exact: boolean, version: string): string {
  if (o.skipped !== undefined) return `ok ${number} ${o.family} # SKIP ${o.skipped}`
  const ok = o.differences.length === 0 || !exact ? 'ok' : 'not ok'
  const story = [...summaryOf(o), ...o.shown.flatMap((s) => storyOf(s, version))]
  return [`${ok} ${number} ${o.family}`, ...story.map((l) => `# ${l}`)].join('\n')
}
