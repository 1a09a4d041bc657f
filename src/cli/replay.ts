/** `replay`: run a token again, on its own design or on another. */
import { readFileSync } from 'node:fs'
import { DESIGNS } from '../designs/index.js'
import { SetupFailure } from '../explore/boot.js'
import { type Replayed, replayScenario } from '../explore/replay.js'
import { decodeToken, type Token, TokenError } from '../explore/token.js'
import { suggest } from '../litmus/error.js'
import { renderColumns, renderList } from '../report/columns.js'
import { wrap } from '../report/paint.js'
import { renderSplat } from '../report/splat.js'
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
  readonly view: 'columns' | 'splat' | 'list'
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
  const file = files.find((f) => f.scenario.name === token.scenario)
  if (file === undefined) {
    const hint = suggest(
      token.scenario,
      files.map((f) => f.scenario.name),
    )
    throw new UserError(`there is no scenario "${token.scenario}".${hint} A file: --file.`)
  }
  const stale = tokenHash(file.text, own) !== token.hash
  const design = await loadDesign(other)
  const mode = options.direct ? 'direct' : 'lowered'
  let replayed: Replayed
  try {
    replayed = replayScenario(file.scenario, design, token.schedule, mode)
  } catch (error) {
    if (error instanceof SetupFailure) throw new UserError(error.message)
    throw error
  }
  return show(replayed, options, stale, other.id !== own.id)
}

async function refOf(design: string, token: Token): Promise<DesignRef> {
  if (design === token.design && !DESIGNS.some((d) => d.id === design)) {
    throw new UserError(
      `the token is of a design "${design}" that is not built in: name its file with --design`,
    )
  }
  return resolveDesign(design)
}

function show(
  replayed: Replayed,
  options: ReplayOptions,
  stale: boolean,
  elsewhere: boolean,
): number {
  const paint = paintFor(process.stdout)
  const { trace, divergence } = replayed
  const text =
    options.view === 'splat'
      ? renderSplat(trace)
      : options.view === 'list' || options.direct
        ? renderList(trace, paint)
        : renderColumns(trace, paint)
  process.stdout.write(`${text}\n`)
  if (divergence !== undefined) {
    const { step, expected, runnable, why } = divergence
    const who = runnable.length > 0 ? runnable.join(', ') : 'nobody'
    const where = elsewhere ? 'here the two designs part' : 'the token does not fit any more'
    const said = `step ${step}: ${where}: ${expected} was to step, but ${why}; can step: ${who}`
    process.stdout.write(`${wrap(said, 79, '')}\n`)
    return elsewhere ? EXIT.OK : EXIT.STALE
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
