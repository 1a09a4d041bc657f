/**
 * What the table says of a call. A scenario names its arguments as they stand here; a program of a
 * transcript leaves out those that it has implicitly, and writes a place in memory as a map and an
 * offset, side by side.
 */
import type { FnTag } from '../machine/fn.js'

/** An argument: a bigint where a number of JavaScript would not be exact. */
export type Int = number | bigint

/**
 * - `file`: a descriptor; programs name files by order of creation
 * - `vm`: the descriptor of a VM; programs have one that they are on
 * - `number`: 32 bits
 * - `bytes`: 64 bits
 * - `count`: how much is transferred, 32 bits
 * - `address`: where a map begins; programs name maps by order of creation
 * - `offset`: bytes from that address on, for which the call is
 * - `length`: so many bytes from there on, none of which may leave the map
 */
export type Kind = 'file' | 'vm' | 'number' | 'bytes' | 'count' | 'address' | 'offset' | 'length'

export interface Parameter {
  readonly name: string
  readonly kind: Kind
  /** What it is if a scenario does not say it. */
  readonly preset?: number
  /** Programs can't say it either. */
  readonly hidden?: true
}

/** The arguments of a call of a program, by the names of the table. */
export type Arguments = Readonly<Record<string, bigint>>

/** How a call stands in programs. */
export interface InPrograms {
  /**
   * The system call on x86-64 that takes the arguments in this order, an offset added to its
   * address. Without: `src/live` has code for it.
   */
  readonly nr?: number
  /** What transcripts of schema 1 call it. */
  readonly was?: string
  /** What its result opens. */
  readonly makes?: 'file' | 'map'
  /** It fills a buffer, whose bytes a transcript has the hash of. */
  readonly reads?: true
  /** It is for all of a map, which is gone then. */
  readonly ends?: 'map'
  /** Asked only of a kernel in a machine of its own. */
  readonly ownMachine?: true
  /** Why it must not be asked of a running host, if so. */
  readonly refuse?: (args: Arguments) => string | undefined
}

export interface Call {
  /** The function of the model, which takes the arguments in this order. */
  readonly fn: FnTag
  readonly parameters: readonly Parameter[]
  readonly doc: string
  readonly program?: InPrograms
}

function parameter(kind: Kind, name: string, preset?: number): Parameter {
  return preset === undefined ? { name, kind } : { name, kind, preset }
}

export const number = (name: string, preset?: number): Parameter =>
  parameter('number', name, preset)
export const bytes = (name: string, preset?: number): Parameter => parameter('bytes', name, preset)
export const count = (name: string): Parameter => parameter('count', name)
export const length = (name: string): Parameter => parameter('length', name)
/** Programs leave it out, and it is the preset then. */
export const hidden = (p: Parameter): Parameter => ({ ...p, hidden: true })

export const fd = parameter('file', 'fd')
export const vm = parameter('vm', 'vm')
export const address = parameter('address', 'address')
/** Behind the others, where scenarios seldom want it. */
export const offset = parameter('offset', 'offset', 0)

export function call(
  fn: FnTag,
  parameters: readonly Parameter[],
  doc: string,
  program?: InPrograms,
): Call {
  return program === undefined ? { fn, parameters, doc } : { fn, parameters, doc, program }
}
