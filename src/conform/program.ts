/**
 * Transcripts: programs of system calls and what a kernel answered, as JSON lines. The first line
 * says which kernel; each further line is one program. `docs/transcripts.md` describes the format.
 */
import type { Int } from '../calls/call.js'
import { PROGRAM_CALLS, PROGRAM_ONLY, type ProgramCall, programParameters } from '../calls/table.js'
import { presentOps } from './former.js'

export type { Int }

export type OpName = ProgramCall | keyof typeof PROGRAM_ONLY

/** The calls a program can make, and their arguments in order. */
export const OPS: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ...[...PROGRAM_CALLS].map(
    ([name, row]) => [name, programParameters(row).map((p) => p.name)] as const,
  ),
  ...Object.entries(PROGRAM_ONLY).map(([name, { parameters }]) => [name, parameters] as const),
])

/** What its arguments are of: `file`, `map`, or the name of a number. */
export function argumentNames(op: Op): readonly string[] {
  return OPS.get(op[0]) ?? []
}

/** One call: its name and its arguments. */
export type Op = readonly [name: OpName, ...args: Int[]]

/** What a call gave. */
export interface Result {
  /** A number, `fd`, `map`, `nomap`, facts of a page, or an errno such as `-EINVAL`. */
  readonly r: Int | string
  /** Hash (FNV-1a, 32 bits) of the bytes that the call read. */
  readonly h?: number
  /** Size and blocks of the file that the call named, afterwards. */
  readonly s?: readonly [size: Int, blocks: Int]
}

export interface Program {
  readonly seed: number
  readonly ops: readonly Op[]
}

export interface Recorded extends Program {
  readonly res: readonly Result[]
}

export interface Header {
  /** Release of the kernel that answered, such as `6.18`. */
  readonly kernel: string
  readonly arch: string
  readonly family: string
}

export interface Transcript extends Header {
  readonly programs: readonly Recorded[]
}

/** A malformed transcript: which file, which line, what is wrong. */
export class TranscriptError extends Error {
  constructor(file: string, line: number, what: string) {
    super(`${file}:${line}: ${what}`)
  }
}

/** Read a whole transcript. @throws TranscriptError */
export function parseTranscript(text: string, file: string): Transcript {
  const lines = text.split('\n').map((content, i) => ({ content, number: i + 1 }))
  const [first, ...rest] = lines.filter(({ content }) => content.trim() !== '')
  if (first === undefined) throw new TranscriptError(file, 1, 'the file is empty')
  const at = <T>(line: { content: string; number: number }, read: (value: Fields) => T): T => {
    try {
      return read(asFields(parseJson(line.content), 'the line'))
    } catch (error) {
      if (!(error instanceof Malformed)) throw error
      throw new TranscriptError(file, line.number, error.message)
    }
  }
  const schema = at(first, readSchema)
  const read = schema === 1 ? readFormerProgram : readProgram
  return { ...at(first, readHeader), programs: rest.map((line) => at(line, read)) }
}

/** The text of a transcript's first line. */
export function formatHeader({ kernel, arch, family }: Header): string {
  return JSON.stringify({ schema: 2, kernel, arch, family })
}

/** The text of a program's line. Integers that JSON readers would round are strings. */
export function formatProgram({ seed, ops, res }: Recorded): string {
  const text = (_key: string, value: unknown): unknown =>
    typeof value === 'bigint' ? String(value) : value
  return JSON.stringify({ seed, ops, res }, text)
}

/** What is wrong with a line. */
class Malformed extends Error {}

type Fields = Readonly<Record<string, unknown>>

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new Malformed(`not JSON: ${(error as Error).message}`)
  }
}

function asFields(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value && !Array.isArray(value)) return value as Fields
  throw new Malformed(`${what} must be an object`)
}

function asArray(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new Malformed(`${what} must be an array`)
}

function asString(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw new Malformed(`${what} must be a string`)
}

const DECIMAL = /^-?\d+$/

/** An integer, or a string of digits where a number would have been rounded. */
function asInt(value: unknown, what: string): Int {
  if (Number.isSafeInteger(value)) return value as number
  if (typeof value === 'string' && DECIMAL.test(value)) return exact(BigInt(value))
  throw new Malformed(`${what} must be an integer; beyond 2^53, one in a string`)
}

/** The number with this value, or the bigint if no number is exact. */
export function exact(value: bigint): Int {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function readSchema({ schema }: Fields): 1 | 2 {
  if (schema === 1 || schema === 2) return schema
  throw new Malformed(`schema ${JSON.stringify(schema)}, not 1 or 2`)
}

function readHeader(line: Fields): Header {
  return {
    kernel: asString(line.kernel, 'kernel'),
    arch: asString(line.arch, 'arch'),
    family: asString(line.family, 'family'),
  }
}

function readProgram(line: Fields, named: (ops: readonly unknown[]) => unknown[] = (o) => [...o]) {
  const ops = named(asArray(line.ops, 'ops')).map(readOp)
  const res = asArray(line.res, 'res').map(readResult)
  if (ops.length !== res.length) {
    throw new Malformed(`${ops.length} calls, but ${res.length} results`)
  }
  return { seed: Number(asInt(line.seed, 'seed')), ops, res }
}

/** Schema 1 had names of its own. */
function readFormerProgram(line: Fields): Recorded {
  return readProgram(line, (ops) => presentOps(ops.map((op, i) => asArray(op, `ops[${i}]`))))
}

function readOp(value: unknown, i: number): Op {
  const [name, ...args] = asArray(value, `ops[${i}]`)
  const what = `ops[${i}]: ${JSON.stringify(name)}`
  const wanted = typeof name === 'string' ? OPS.get(name) : undefined
  if (wanted === undefined) {
    throw new Malformed(`${what} is no call; known are ${[...OPS.keys()].join(', ')}`)
  }
  if (args.length !== wanted.length) {
    throw new Malformed(`${what} takes (${wanted.join(', ')}), not ${args.length} arguments`)
  }
  const ints = args.map((a, n) => asInt(a, `${what}: ${wanted[n]}`))
  wanted.forEach((of, n) => {
    const count = PROGRAM_CALLS.get(name as string)?.parameters.find((p) => p.name === of)
    if (count?.kind === 'count' && !isTransfer(ints[n] ?? 0)) {
      throw new Malformed(`${what}: ${of} is 0 to ${MAX_TRANSFER}`)
    }
  })
  return [name as OpName, ...ints]
}

/** The largest buffer that a program can read into or write from. */
export const MAX_TRANSFER = 1 << 20

export function isTransfer(length: Int): boolean {
  return length >= 0 && length <= MAX_TRANSFER
}

function readResult(value: unknown, i: number): Result {
  const { r, h, s } = asFields(value, `res[${i}]`)
  const answer = typeof r === 'string' && !DECIMAL.test(r) ? r : asInt(r, `res[${i}].r`)
  const hash = h === undefined ? {} : { h: Number(asInt(h, `res[${i}].h`)) }
  if (s === undefined) return { r: answer, ...hash }
  const [size, blocks, ...more] = asArray(s, `res[${i}].s`)
  if (more.length > 0) throw new Malformed(`res[${i}].s must be [size, blocks]`)
  return {
    r: answer,
    ...hash,
    s: [asInt(size, `res[${i}].s: size`), asInt(blocks, `res[${i}].s: blocks`)],
  }
}
