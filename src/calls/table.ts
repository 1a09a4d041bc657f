/**
 * The table of calls. What a scenario can name, what a program of a transcript can, what the model
 * and the running kernel are asked, the pages about it and the second kernel's header come from
 * here: a call is described once.
 */
import type { Call, Parameter } from './call.js'
import { FILE_CALLS } from './files.js'
import { KVM_CALLS } from './kvm.js'
import { MEMORY_CALLS } from './memory.js'
import { PAGE_CALLS } from './pages.js'

export const CALLS = { ...FILE_CALLS, ...MEMORY_CALLS, ...KVM_CALLS, ...PAGE_CALLS }

export type CallName = keyof typeof CALLS

/** Those that stand in programs. */
export type ProgramCall = {
  [N in CallName]: (typeof CALLS)[N] extends { readonly program?: undefined } ? never : N
}[CallName]

/** By name; undefined for a name that is in no row, such as `constructor`. */
export function callOf(name: string): Call | undefined {
  return Object.hasOwn(CALLS, name) ? CALLS[name as CallName] : undefined
}

/** An argument of a program's call. */
export interface ProgramParameter {
  readonly name: string
  readonly kind: 'file' | 'map' | 'number'
  /** The parameter that it is for; an offset comes with its map, out of the order of the row. */
  readonly of: Parameter
}

/** The arguments that programs write, in order. */
export function programParameters({ parameters, program }: Call): ProgramParameter[] {
  if (program === undefined) return []
  return parameters.flatMap((of): ProgramParameter[] => {
    if (of.kind === 'vm' || of.kind === 'offset' || of.hidden === true) return []
    if (of.kind === 'file') return [{ name: 'file', kind: 'file', of }]
    if (of.kind !== 'address') {
      return program.ends === 'map' && of.kind === 'length' ? [] : [numberOf(of)]
    }
    const within = parameters.filter((p) => p.kind === 'offset' && program.ends !== 'map')
    return [{ name: 'map', kind: 'map', of }, ...within.map(numberOf)]
  })
}

function numberOf(of: Parameter): ProgramParameter {
  return { name: of.name, kind: 'number', of }
}

/** Guest physical address from which a guest's memory is looked at. */
export const GUEST_MEMORY = 0x10000

/** What only programs have: no call of the kernel, or what a guest does by several. */
export const PROGRAM_ONLY = {
  use: { parameters: ['file'], doc: 'The calls on a VM that follow are on this one.' },
  page: { parameters: ['map', 'offset'], doc: 'The facts of the page that is mapped there.' },
  run: { parameters: ['gpa'], doc: 'The guest adds 1 to the byte at this address.' },
  peek: { parameters: ['gpa'], doc: 'The guest reads the byte at this address.' },
} as const

/** Each row that stands in programs. */
export const PROGRAM_CALLS: ReadonlyMap<string, Call> = new Map(
  Object.entries<Call>(CALLS).filter(([, c]) => c.program !== undefined),
)
