/**
 * A part of a check as a file, and the whole from all parts: for build systems that run one command
 * on several machines. Cell number i of n shards lies in shard i mod n, so that each gets some of
 * every scenario. A file says which code answered which command, and is whole or not there.
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { type Limits, type Question, questionKey } from '../ask.js'
import { UserError } from '../error.js'
import type { CellResult, LoadedDesign, Results, ScenarioFile } from '../results.js'
import type { Verdict } from '../verdict.js'
import * as is from './narrow.js'
import { CODE } from './package.js'
import { packed, readLimits, readQuestion, readVerdict } from './stored.js'
import { writeWhole } from './whole-file.js'

/** Shard `number` of `of`, from 1. */
export interface Shard {
  readonly number: number
  readonly of: number
}

/** More would only be files. */
export const MOST_SHARDS = 1000

/** What was asked, but for which part of it. Whoever was asked the same has the same. */
export interface Command {
  readonly scenarios: readonly WrittenScenario[]
  readonly designs: readonly WrittenDesign[]
  readonly question: Question
  readonly limits: Limits
  /** How it was to be printed. */
  readonly format: string
  /** The user named designs. */
  readonly named: boolean
  readonly host?: string | undefined
}

interface WrittenScenario {
  readonly name: string
  /** As the user named it; undefined for one that comes with the package. */
  readonly path?: string | undefined
  readonly text: string
}

interface WrittenDesign {
  readonly id: string
  /** For one that does not come with the package: the file as the user named it. */
  readonly path?: string | undefined
  /** Hash of what the design is. */
  readonly identity: string
}

/** One shard's answer. */
export interface ShardFile {
  readonly schema: typeof SCHEMA
  readonly version: string
  readonly code: string
  readonly shard: number
  readonly of: number
  readonly command: Command
  readonly seconds: number
  /** Verdicts by the number of their cell, from 0. */
  readonly verdicts: readonly (readonly [number, Verdict])[]
}

const SCHEMA = 'restrictedmem-shard-1'

const identityOf = (design: string): string => createHash('sha256').update(design).digest('hex')

/** The command of a check, in words that mean the same on every machine. */
export function commandOf(
  scenarios: readonly ScenarioFile[],
  designs: readonly LoadedDesign[],
  rest: Omit<Command, 'scenarios' | 'designs'>,
): Command {
  return {
    scenarios: scenarios.map(({ builtIn, path, text, scenario: { name } }) =>
      builtIn ? { name, text } : { name, path, text },
    ),
    designs: designs.map(({ id, path, identity }) =>
      path === undefined
        ? { id, identity: identityOf(identity) }
        : { id, path, identity: identityOf(identity) },
    ),
    ...rest,
  }
}

/** Does a shard have the cell of this number, from 0? */
export function isOf({ number, of }: Shard, cell: number): boolean {
  return cell % of === number - 1
}

/** What a shard has to say. */
export function shardFile(shard: Shard, command: Command, results: Results): ShardFile {
  const numberOf = ({ file, design }: CellResult): number => {
    const row = command.scenarios.findIndex((s) => s.name === file.scenario.name)
    return row * command.designs.length + command.designs.findIndex((d) => d.id === design.id)
  }
  return {
    schema: SCHEMA,
    version: CODE.version,
    code: CODE.code,
    shard: shard.number,
    of: shard.of,
    command,
    seconds: results.seconds,
    verdicts: results.cells.map((c) => [numberOf(c), c.verdict]),
  }
}

/** Write it: it is whole or not there. @throws UserError */
export function writeShard(path: string, file: ShardFile): void {
  const body = JSON.stringify(file, packed)
  try {
    writeWhole(path, (out) => writeFileSync(out, `${body}\n${sumOf(body)}\n`))
  } catch (error) {
    throw new UserError(`${path}: ${(error as Error).message}`)
  }
}

function sumOf(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}

const readFile = is.fields<ShardFile>({
  schema: is.oneOf(SCHEMA),
  version: is.text,
  code: is.text,
  shard: is.count,
  of: is.count,
  command: is.fields<Command>({
    scenarios: is.list(
      is.fields<WrittenScenario>({ name: is.text, path: is.maybe(is.text), text: is.text }),
    ),
    designs: is.list(
      is.fields<WrittenDesign>({ id: is.text, path: is.maybe(is.text), identity: is.text }),
    ),
    question: readQuestion,
    limits: readLimits,
    format: is.text,
    named: is.flag,
    host: is.maybe(is.text),
  }),
  seconds: is.real,
  verdicts: is.list(is.pair(is.count, readVerdict)),
})

/** @throws UserError if there is none, it is damaged, or of another version */
export function readShard(path: string): ShardFile {
  let all: string
  try {
    all = readFileSync(path, 'utf8')
  } catch (error) {
    throw new UserError(`${path}: ${(error as Error).message}`)
  }
  const [body = '', sum] = all.split('\n')
  if (!body.startsWith(`{"schema":"${SCHEMA}"`)) {
    throw new UserError(`${path}: this is no result of a shard, or one of another version`)
  }
  if (sum !== sumOf(body)) throw new UserError(`${path}: the file is cut off or damaged`)
  try {
    return is.fromJson(body, readFile, 'shard')
  } catch (error) {
    if (!(error instanceof is.NotAsWritten)) throw error
    throw new UserError(`${path}: ${error.message}`)
  }
}

/** All shards of one command, put together. */
export interface Merged {
  readonly command: Command
  /** By number of the cell. */
  readonly verdicts: readonly Verdict[]
  /** As if the shards had run beside each other. */
  readonly seconds: number
}

/**
 * Put shards together.
 *
 * @throws UserError if they are not all shards of one command, each of them once, by this code
 */
export function merge(shards: readonly (readonly [path: string, file: ShardFile])[]): Merged {
  const [first] = shards
  if (first === undefined) throw new UserError('which shards are to be merged?')
  const [firstPath, { of, command }] = first
  const seen = new Map<number, string>()
  for (const [path, file] of shards) {
    if (file.code !== CODE.code || file.version !== CODE.version) {
      throw new UserError(
        `${path}: by another version of the code: ${file.version} ${file.code}; this is ${CODE.version} ${CODE.code}`,
      )
    }
    if (file.of !== of || commandKey(file.command) !== commandKey(command)) {
      throw new UserError(`${path} and ${firstPath} are not shards of the same command`)
    }
    const twice = seen.get(file.shard)
    if (twice !== undefined) {
      throw new UserError(`${twice} and ${path} are both shard ${file.shard} of ${of}`)
    }
    seen.set(file.shard, path)
  }
  const missing = Array.from({ length: of }, (_, i) => i + 1).filter((k) => !seen.has(k))
  if (missing.length > 0 || seen.size !== of) {
    throw new UserError(`of ${of} shards these are missing: ${missing.join(', ')}`)
  }
  const verdicts: Verdict[] = []
  for (const [path, file] of shards) {
    for (const [cell, verdict] of file.verdicts) verdicts[placeOf(cell, path, file)] = verdict
  }
  const cells = command.scenarios.length * command.designs.length
  const whole = Array.from({ length: cells }, (_, i) => {
    const verdict = verdicts[i]
    if (verdict === undefined) throw new UserError(`no shard has cell ${i + 1} of ${cells}`)
    return verdict
  })
  return { command, verdicts: whole, seconds: Math.max(...shards.map(([, f]) => f.seconds)) }
}

/** A cell's number, if it is one of this shard's. */
function placeOf(cell: number, path: string, { command, shard, of }: ShardFile): number {
  const { scenarios, designs } = command
  if (cell < scenarios.length * designs.length && isOf({ number: shard, of }, cell)) return cell
  throw new UserError(`${path}: cell ${cell} is none of shard ${shard} of ${of}`)
}

/** Text that is the same for the same command. */
export function commandKey({ question, ...rest }: Command): string {
  const { scenarios, designs, limits, format, named, host } = rest
  const asked = [questionKey(question), limits.milliseconds ?? 0, limits.bytes ?? 0]
  const texts = scenarios.map((s) => [s.name, s.path ?? '', s.text])
  const whose = designs.map((d) => [d.id, d.identity])
  return JSON.stringify([texts, whose, asked, format, named, host ?? ''])
}

/** The design that a command names, among those that are there. @throws UserError */
export function designOf(
  { id, path, identity }: WrittenDesign,
  there: readonly LoadedDesign[],
): LoadedDesign {
  const named = there.find((d) => d.id === id)
  if (named === undefined) {
    throw new UserError(`the shards are about the design "${id}": say where it is with -d ${path}`)
  }
  if (identityOf(named.identity) === identity) return named
  throw new UserError(`the design "${id}" is not as it was when the shards were checked`)
}
