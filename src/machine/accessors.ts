/**
 * Accessors of a struct's handles, as program text that is compiled once for each struct. Closures
 * over offsets would do the same, but V8 keeps what it has learnt about a function with its text:
 * one text for all fields of all structs makes every access the slow, general one.
 */
import { UNINITIALISED } from './arena.js'

/** What the text of an accessor needs to know about its field. */
export interface FieldPlace {
  readonly name: string
  readonly offset: number
  readonly words: number
  readonly kind: 'num' | 'flag' | 'ptr' | 'any' | 'wide' | 'i64' | 'embed' | 'ops' | 'vec' | 'ptrs'
  readonly target: string | undefined
  /** Index of the field's word in `Runtime.watchers`. */
  readonly watch: number
}

/** What the text calls; `mem`, `poke` and the rest of the arena are in here too. */
export type Runtime = Readonly<Record<string, unknown>>

/** What is compiled for one struct. */
export interface Handles {
  readonly prototype: object
  /** From an address to the one handle of this struct there; null for 0. */
  readonly at: (addr: number) => object | null
}

const PARAMETERS = 'rt, mem, poke, watchers, debug, handles, handleIndex'

/** Compile the handles of a struct. `struct` is the struct's number, `name` its name. */
export function compileHandles(
  struct: number,
  name: string,
  fields: readonly FieldPlace[],
  rt: Runtime,
): Handles {
  const views = fields.filter((f) => f.kind === 'vec' || f.kind === 'ptrs')
  const text = [
    ...[...new Set(fields.flatMap((f) => f.target ?? []))].map(
      (t) => `let $${t} = (addr) => ($${t} = rt.structNamed('${t}').at)(addr)`,
    ),
    ...views.map((f) => viewText(struct, name, f)),
    `class ${name} {`,
    `  constructor(at) { this.at = at; ${views.map((f) => `this.$${f.name} = undefined`).join(';')} }`,
    ...fields.map((f) => accessorText(struct, name, f)),
    '}',
    makerText(name),
    `return { prototype: ${name}.prototype, at: handleAt }`,
  ].join('\n')
  const compiled = new Function(PARAMETERS, text) as (...args: unknown[]) => Handles
  const { mem, poke, watchers, debug, handles, handleIndex } = rt
  return compiled(rt, mem, poke, watchers, debug, handles, handleIndex)
}

/**
 * The first struct that has a handle at an address has it in the common table; others, and
 * pointers that carry an errno, in one of their own.
 */
function makerText(name: string): string {
  return `
const others = new Map()
function other(addr) {
  const known = others.get(addr)
  if (known !== undefined) return known
  const made = new ${name}(addr)
  others.set(addr, made)
  return made
}
function handleAt(addr) {
  if (addr <= 0) return addr === 0 ? null : other(addr)
  const i = handleIndex[addr]
  const known = handles[i]
  if (known instanceof ${name}) return known
  if (i !== 0) return other(addr)
  const made = new ${name}(addr)
  handleIndex[addr] = handles.push(made) - 1
  return made
}`
}

/** The tests before an access through `at` to the word `word`. */
function check(struct: number, name: string, f: FieldPlace, word: string, write: boolean): string {
  return [
    `if (mem[at] !== ${struct}) rt.badAccess(${struct}, at, '${f.name}', ${write})`,
    `if (debug.hook !== undefined) debug.hook(${word}, ${write}, '${name}', '${f.name}', at, ${f.kind === 'wide' || f.kind === 'i64' ? 2 : 1})`,
  ].join('\n')
}

function accessorText(struct: number, name: string, f: FieldPlace): string {
  if (f.kind === 'embed') {
    return `get ${f.name}() { return $${f.target}(this.at + ${f.offset}) } ${frozen(name, f)}`
  }
  if (f.kind === 'vec' || f.kind === 'ptrs') {
    const view = `this.$${f.name}`
    return `get ${f.name}() { return ${view} ?? (${view} = new View_${f.name}(this.at)) } ${frozen(name, f)}`
  }
  const word = `at + ${f.offset}`
  return `
  get ${f.name}() {
    const at = this.at
    ${check(struct, name, f, word, false)}
    const value = mem[${word}]
    if (value === rt.UNINITIALISED) rt.uninitialised(${struct}, '${f.name}', at)
    ${getText(f, word)}
  }
  set ${f.name}(value) {
    ${rangeText(name, f)}
    const at = this.at
    ${check(struct, name, f, word, true)}
    ${setText(f, word)}
    if (watchers[${f.watch}] !== 0) rt.markDirty(watchers[${f.watch}])
  }`
}

function frozen(name: string, f: FieldPlace): string {
  return `set ${f.name}(value) { throw new Error('${name}.${f.name} cannot be assigned') }`
}

function getText(f: FieldPlace, word: string): string {
  switch (f.kind) {
    case 'flag':
      return 'return value !== 0'
    case 'ptr':
      return `return $${f.target}(value)`
    case 'any':
      return 'return rt.handleAt(value)'
    case 'ops':
      return 'return rt.opsNumbered(value)'
    case 'wide':
      return `return value * 0x100000000 + (mem[${word} + 1] >>> 0)`
    case 'i64':
      return `return (BigInt(value) << 32n) | BigInt(mem[${word} + 1] >>> 0)`
    default:
      return 'return value'
  }
}

/** Values that do not fit their field, or whose first word would say that nothing was written. */
function rangeText(name: string, f: FieldPlace): string {
  const misfit = `throw new rt.LimitError('${name}.${f.name} cannot hold ' + value)`
  if (f.kind === 'num') {
    return `if ((value | 0) !== value || value === rt.UNINITIALISED) ${misfit}`
  }
  if (f.kind === 'vec') return `if ((value | 0) !== value) ${misfit}`
  if (f.kind === 'wide') return `if (!Number.isSafeInteger(value) || value < 0) ${misfit}`
  if (f.kind === 'i64') return `if (!(value >= ${I64.least}n && value <= ${I64.most}n)) ${misfit}`
  return ''
}

const I64 = { least: (BigInt(UNINITIALISED) + 1n) << 32n, most: (1n << 63n) - 1n }

function setText(f: FieldPlace, word: string): string {
  switch (f.kind) {
    case 'flag':
      return `poke(${word}, value ? 1 : 0)`
    case 'ptr':
    case 'any':
      return `poke(${word}, value === null ? 0 : value.at)`
    case 'ops':
      return `poke(${word}, rt.opsNumber(value))`
    case 'wide':
      return `poke(${word}, Math.floor(value / 0x100000000)); poke(${word} + 1, value | 0)`
    case 'i64':
      return `poke(${word}, Number(BigInt.asIntN(32, value >> 32n)))
        poke(${word} + 1, Number(BigInt.asIntN(32, value)))`
    default:
      return `poke(${word}, value)`
  }
}

/** The class behind a vector field: its elements, indexed from 0. */
function viewText(struct: number, name: string, f: FieldPlace): string {
  const word = `at + ${f.offset} + i`
  const pointers = f.kind === 'ptrs'
  const range = `if (!(i >= 0 && i < ${f.words})) throw new rt.LimitError('${name}.${f.name} has no element ' + i)`
  return `class View_${f.name} {
  constructor(at) { this.at = at; this.length = ${f.words} }
  get(i) {
    ${range}
    const at = this.at
    ${check(struct, name, f, word, false)}
    return ${pointers ? `$${f.target}(mem[${word}])` : `mem[${word}]`}
  }
  set(i, value) {
    ${range}
    ${rangeText(name, f)}
    const at = this.at
    ${check(struct, name, f, word, true)}
    poke(${word}, ${pointers ? 'value === null ? 0 : value.at' : 'value'})
    if (watchers[${f.watch}] !== 0) rt.markDirty(watchers[${f.watch}])
  }
}`
}
