/** `replay`: run a token again, on its own design or on another. */
import { readFileSync } from 'node:fs'
import { SetupFailure } from '../cell/boot.js'
import type { Design } from '../designs/design.js'
import { DESIGNS } from '../designs/index.js'
import { type Hindsight, LOOK_BACK, lookBack } from '../explore/tell/hindsight.js'
import { reduceScenario } from '../explore/tell/reduce.js'
import { type Divergence, type Replayed, replayScenario } from '../explore/tell/replay.js'
import { decodeToken, isNamedBy, type Token, TokenError } from '../explore/token.js'
import { designNamed } from '../hosts/index.js'
import { suggest } from '../litmus/error.js'
import type { Scenario } from '../litmus/scenario.js'
import { renderColumns, renderList } from '../report/columns.js'
import { wrap } from '../report/paint.js'
import { renderSplat } from '../report/splat.js'
import { FINDING_KINDS } from '../sanitizers/index.js'
import type { Trace, TraceStep } from '../trace/events.js'
import { EXIT } from './exit-codes.js'
import {
  builtInFiles,
  type DesignRef,
  loadDesign,
  readScenarios,
  resolveDesign,
  tokenHash,
  UserError,
} from './inputs.js'
import { paintFor } from './terminal.js'

export interface ReplayOptions {
  readonly on: string | undefined
  readonly view: 'columns' | 'splat' | 'list' | 'litmus'
  readonly direct: boolean
  /** Where a scenario of the user's own, or a design by path, is found. */
  readonly file: string | undefined
  readonly design: string | undefined
}

function readToken(text: string): Token {
  try {
    return decodeToken(text === '-' ? readFileSync(0, 'utf8') : text)
  } catch (error) {
    if (error instanceof TokenError) throw new UserError(error.message)
    throw error
  }
}

/** Replay a token and print the view; returns the exit code. */
export async function replay(text: string, options: ReplayOptions): Promise<number> {
  const token = readToken(text)
  const own = await refOf(options.design ?? token.design, token)
  const other = options.on === undefined ? own : await resolveDesign(options.on)
  const paths = options.file === undefined ? builtInFiles() : [options.file]
  const files = readScenarios(paths, [own.id, other.id])
  const named = files.filter((f) => isNamedBy(token, f.scenario.name))
  const file = named.find((f) => tokenHash(f.text, own) === token.hash) ?? named[0]
  if (file === undefined) {
    const hint = suggest(
      token.scenario,
      files.map((f) => f.scenario.name.replace(/^.*\//, '')),
    )
    throw new UserError(`there is no scenario "${token.scenario}".${hint} A file: --file.`)
  }
  const stale = tokenHash(file.text, own) !== token.hash
  const design = await loadDesign(other)
  const mode = options.direct ? 'direct' : 'lowered'
  try {
    const replayed = replayScenario(file.scenario, design, token.schedule, mode)
    if (options.view === 'litmus') return reduced(file.text, design, replayed)
    if (other.id === own.id) {
      return show(replayed, options, stale, hindsightOf(file.scenario, design, token, replayed))
    }
    const there = replayScenario(file.scenario, await loadDesign(own), token.schedule, mode)
    return compare(replayed, there, options)
  } catch (error) {
    if (error instanceof SetupFailure) throw new UserError(error.message)
    throw error
  }
}

async function refOf(design: string, token: Token): Promise<DesignRef> {
  if (design === token.design && designNamed(design) === undefined) {
    throw new UserError(
      `the token is of a design "${design}" that is not built in: name its file with --design`,
    )
  }
  return resolveDesign(design)
}

/** The finding that the last step of a replay shows. */
function findingOf(trace: Trace): string | undefined {
  return trace.steps.at(-1)?.findings[0]?.id ?? (trace.stuck.length > 0 ? 'deadlock' : undefined)
}

/** Print the smallest scenario that still shows the token's finding. */
function reduced(text: string, design: Design, { trace }: Replayed): number {
  const id = findingOf(trace)
  if (id === undefined) throw new UserError('this execution ends in no finding')
  const known = {
    designs: [...DESIGNS.map((d) => d.id), design.id, ...(text.match(/[\w.-]+/g) ?? [])],
    findings: FINDING_KINDS.map((k) => k.id),
  }
  const smaller = reduceScenario(text, design, id, known, { keepGoing: () => true })
  process.stdout.write(smaller ?? `nothing can be taken away without losing ${id}\n`)
  return EXIT.OK
}

/** What is known in hindsight of the finding in which the token ends. */
function hindsightOf(
  scenario: Scenario,
  design: Design,
  token: Token,
  { trace, divergence }: Replayed,
): Hindsight | undefined {
  if (divergence !== undefined) return undefined
  const id = findingOf(trace)
  return id === undefined ? undefined : lookBack(scenario, design, token.schedule, id, LOOK_BACK)
}

function print(
  replayed: Replayed,
  options: ReplayOptions,
  hindsight: Hindsight | undefined = undefined,
): void {
  const paint = paintFor(process.stdout)
  const { trace } = replayed
  const text =
    options.view === 'splat'
      ? renderSplat(trace)
      : options.view === 'list' || options.direct
        ? renderList(trace, paint)
        : renderColumns(trace, paint, hindsight)
  process.stdout.write(`${text}\n`)
}

function whyNot(d: Divergence): string {
  const who = d.runnable.length > 0 ? d.runnable.join(', ') : 'nobody'
  return `${d.expected} was to step, but ${d.why}; can step: ${who}`
}

function show(
  replayed: Replayed,
  options: ReplayOptions,
  stale: boolean,
  hindsight: Hindsight | undefined,
): number {
  print(replayed, options, hindsight)
  const { trace, divergence } = replayed
  if (divergence !== undefined) {
    const said = `step ${divergence.step}: the token does not fit any more: ${whyNot(divergence)}`
    process.stdout.write(`${wrap(said, 79, '')}\n`)
    return EXIT.STALE
  }
  if (stale) {
    process.stderr.write('the token was made from another version of the scenario or the code\n')
    return EXIT.STALE
  }
  const [lo, hi] = trace.fingerprint
  const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0')
  if (!options.direct) process.stdout.write(`state ${hex(hi)}${hex(lo)}\n`)
  return EXIT.OK
}

/** The same schedule on two designs: what the other one does, and where the two part. */
function compare(here: Replayed, there: Replayed, options: ReplayOptions): number {
  print(here, options)
  const what = (s: TraceStep | undefined): string => {
    if (s === undefined) return 'nothing'
    const found = s.findings.map((f) => f.id).join(', ')
    const did = [s.stack[0]?.cName ?? s.operation, ...s.returned].join(', ')
    return found === '' ? `${s.task} in ${did}` : `${s.task} in ${did}, ${found}`
  }
  const steps = Math.max(here.trace.steps.length, there.trace.steps.length)
  for (let i = 0; i < steps; i++) {
    const [a, b] = [what(here.trace.steps[i]), what(there.trace.steps[i])]
    if (a === b) continue
    const blocked = here.divergence?.step === i + 1 ? ` (${whyNot(here.divergence)})` : ''
    const said = `the designs part at step ${i + 1}: ${here.trace.design}: ${a}${blocked}; ${there.trace.design}: ${b}`
    process.stdout.write(`${wrap(said, 79, '')}\n`)
    return EXIT.OK
  }
  process.stdout.write('the designs do the same on this schedule\n')
  return EXIT.OK
}
