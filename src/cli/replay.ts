/** `replay`: run a token again, on its own design or on another. */
import { readFileSync } from 'node:fs'
import { UserError } from '../app/error.js'
import { resolveDesign, tokenHash } from '../app/host/designs.js'
import { nameOf, packagedFiles } from '../app/host/files.js'
import { readScenarios } from '../app/host/scenarios.js'
import { knownNames } from '../app/known.js'
import type { LoadedDesign, ScenarioFile } from '../app/results.js'
import { decodeToken, isNamedBy, type Token, TokenError } from '../app/token.js'
import { SetupFailure } from '../cell/boot.js'
import type { Design } from '../designs/design.js'
import { type Hindsight, LOOK_BACK, lookBack } from '../explore/tell/hindsight.js'
import { replayPictured, type Shown } from '../explore/tell/pictured.js'
import { reduceScenario } from '../explore/tell/reduce.js'
import type { Divergence, Replayed } from '../explore/tell/replay.js'
import { designNamed } from '../hosts/index.js'
import { suggest } from '../litmus/error.js'
import type { Scenario } from '../litmus/scenario.js'
import { renderColumns, renderList } from '../report/columns.js'
import { renderMemory } from '../report/memory.js'
import { wrap } from '../report/paint.js'
import { renderSplat } from '../report/splat.js'
import { align, type Effect } from '../trace/align.js'
import type { Trace } from '../trace/events.js'
import { EXIT } from './exit.js'
import type { ReplayFlags } from './flags.js'
import { lookFor, out, say } from './terminal.js'

function readToken(text: string): Token {
  try {
    return decodeToken(text === '-' ? readFileSync(0, 'utf8') : text)
  } catch (error) {
    if (error instanceof TokenError) throw new UserError(error.message)
    throw error
  }
}

/** Replay a token and print the view; returns the exit code. */
export async function replay(text: string, flags: ReplayFlags): Promise<number> {
  const token = readToken(text)
  const own = await designOf(flags.design ?? token.design, token)
  const other = flags.on === undefined ? own : await resolveDesign(flags.on)
  const file = fileOf(token, own, other, flags)
  const stale = tokenHash(file.text, own) !== token.hash
  const mode = flags.direct ? 'direct' : 'lowered'
  try {
    const alone = other.id === own.id && other.module === own.module
    const replayed = replayPictured(file.scenario, other.design, token.schedule, mode, !alone)
    if (flags.view === 'litmus') return reduced(file.text, other.design, replayed)
    if (alone) {
      return show(replayed, flags, stale, hindsightOf(file.scenario, own.design, token, replayed))
    }
    const there = replayPictured(file.scenario, own.design, token.schedule, mode, false)
    return compare(replayed, there, flags)
  } catch (error) {
    if (error instanceof SetupFailure) throw new UserError(error.message)
    throw error
  }
}

async function designOf(design: string, token: Token): Promise<LoadedDesign> {
  if (design === token.design && designNamed(design) === undefined) {
    throw new UserError(
      `the token is of a design "${design}" that is not built in: name its file with --design`,
    )
  }
  return resolveDesign(design)
}

/** The scenario that a token names; of several, the one that it was made from. */
function fileOf(
  token: Token,
  own: LoadedDesign,
  other: LoadedDesign,
  { file: path }: ReplayFlags,
): ScenarioFile {
  const builtIn = packagedFiles()
  const paths = path === undefined ? builtIn.filter((f) => isNamedBy(token, nameOf(f))) : [path]
  const files = readScenarios(paths, [own.id, other.id])
  const named = files.filter((f) => isNamedBy(token, f.scenario.name))
  const file = named.find((f) => tokenHash(f.text, own) === token.hash) ?? named[0]
  if (file !== undefined) return file
  const names = path === undefined ? builtIn.map(nameOf) : files.map((f) => f.scenario.name)
  const hint = suggest(
    token.scenario,
    names.map((name) => name.replace(/^.*\//, '')),
  )
  throw new UserError(`there is no scenario "${token.scenario}".${hint} A file: --file.`)
}

/** The finding that the last step of a replay shows. */
function findingOf(trace: Trace): string | undefined {
  const last = trace.steps.at(-1)
  if (last === undefined && trace.setUp[0] !== undefined) return trace.setUp[0].id
  return last?.findings[0]?.id ?? (trace.stuck.length > 0 ? 'deadlock' : undefined)
}

/** Print the smallest scenario that still shows the token's finding. */
function reduced(text: string, design: Design, { trace }: Replayed): number {
  const id = findingOf(trace)
  if (id === undefined) throw new UserError('this execution ends in no finding')
  const known = knownNames([design.id])
  const smaller = reduceScenario(text, design, id, known, { keepGoing: () => true })
  out(smaller?.trimEnd() ?? `nothing can be taken away without losing ${id}`)
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

function textOf(
  { trace, divergence, pictured }: Shown,
  flags: ReplayFlags,
  hindsight: Hindsight | undefined = undefined,
): string {
  const look = lookFor(process.stdout, true)
  if (flags.json === true) return JSON.stringify({ trace, divergence, hindsight }, undefined, 2)
  if (flags.view === 'splat') return renderSplat(trace)
  if (flags.view === 'memory') return renderMemory(trace, pictured, look)
  if (flags.view === 'list' || flags.direct) return renderList(trace, look)
  return renderColumns(trace, look, hindsight)
}

function whyNot(d: Divergence): string {
  const who = d.runnable.length > 0 ? d.runnable.join(', ') : 'nobody'
  return `${d.expected} was to step, but ${d.why}; can step: ${who}`
}

function show(
  replayed: Shown,
  flags: ReplayFlags,
  stale: boolean,
  hindsight: Hindsight | undefined,
): number {
  const { trace, divergence } = replayed
  out(textOf(replayed, flags, hindsight))
  if (divergence !== undefined) {
    const said = `step ${divergence.step}: the token does not fit any more: ${whyNot(divergence)}`
    if (flags.json !== true) out(wrap(said, 79, ''))
    return EXIT.STALE
  }
  if (stale) {
    say('the token was made from another version of the scenario or the code')
    return EXIT.STALE
  }
  const [lo, hi] = trace.fingerprint
  const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0')
  if (!flags.direct && flags.json !== true) out(`state ${hex(hi)}${hex(lo)}`)
  return EXIT.OK
}

/** The same schedule on two designs: what the other one does, and where the two part. */
function compare(here: Shown, there: Shown, flags: ReplayFlags): number {
  out(textOf(here, flags))
  if (flags.json !== true) out(wrap(partingText(there, here), 79, ''))
  return EXIT.OK
}

/** Where the effects of the token's own design and those of the other one part. */
function partingText(own: Shown, other: Shown): string {
  const { parting } = align(
    { trace: own.trace, names: own.pictured.names },
    { trace: other.trace, names: other.pictured.names },
  )
  const [one, two] = [own.trace.design, other.trace.design]
  if (parting === undefined) return `${one} and ${two} do the same on this schedule`
  const say = (e: Effect | undefined): string =>
    e === undefined ? 'nothing more' : `${e.text} in ${e.where}, step ${e.step}`
  const parts = `${one}: ${say(parting.here)}; ${two}: ${say(parting.there)}`
  const ends = other.trace.steps.flatMap((s) => (s.task === parting.task ? s.returned : []))
  const end = ends.length === 0 ? '' : `. There it ends with ${ends.at(-1)}`
  return `the designs part at step ${parting.step}, ${parting.task}: ${parts}${end}`
}
