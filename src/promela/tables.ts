/** The data of a model in C: structs and their fields, ops tables, programs and initial memory. */
import type { Condition, Formula, Operand } from '../litmus/conditions.js'
import { ARENA_WORDS, mem } from '../machine/arena.js'
import { allBlobs, STALE_PAGE, ZERO_PAGE } from '../machine/blob.js'
import { loadedProgram, type Operation, type Program } from '../machine/machine.js'
import { allOpsTables, allStructs, type Field } from '../machine/struct.js'
import type { Sanitizer } from '../sanitizers/sanitizer.js'
import type { KernelFunction, World } from './world.js'

/** The machine before a search: what its words hold, and what its tasks will do. */
export interface InitialState {
  /** Address and value of each word that is not 0. */
  readonly words: readonly (readonly [number, number])[]
  readonly program: Program
  /** What the scenario says must hold when its tasks have ended. */
  readonly conditions: readonly Condition[]
}

/** The machine as it stands. */
export function captureState(conditions: readonly Condition[] = []): InitialState {
  const words: [number, number][] = []
  for (let at = 0; at < ARENA_WORDS; at++) if (mem[at] !== 0) words.push([at, mem[at] as number])
  return { words, program: loadedProgram(), conditions }
}

interface FieldRow {
  readonly name: string
  readonly of: string
  readonly offset: number
  readonly field: Field<unknown>
}

function fieldRows(): FieldRow[] {
  return allStructs().flatMap((s) =>
    [...s.fields.values()].map(({ name, offset, field }) => ({ name, of: s.name, offset, field })),
  )
}

/** Page contents that are there already. */
export function blobsText(): string {
  const adds = [...allBlobs()].map(([id, runs]) => {
    return `add_blob(${id}, ${runs.length}, (int[]){ ${runs.flat().join(', ')} });`
  })
  return `static void add_blobs(void) {\n${adds.join('\n')}\n}`
}

/** Names of structs and fields, for the text that follows. */
export function namesText(): string {
  const structs = allStructs().map((s) => `S_${s.name} = ${s.id}`)
  const fields = fieldRows().map((f) => `${f.of}_${f.name}`)
  const pages = `enum { ZERO_PAGE = ${ZERO_PAGE}, STALE_PAGE = ${STALE_PAGE} };`
  return `${pages}\nenum { ${structs.join(', ')} };\nenum { ${fields.join(', ')} };`
}

/** The tables behind the names. `judges` decides which fields are watched. */
export function structsText(judges: readonly Sanitizer[]): string {
  const rows = fieldRows()
  const structs = allStructs().map((s) => {
    const first = rows.findIndex((f) => f.of === s.name)
    const from = first < 0 ? 0 : first
    return `{ ${s.id}, ${s.words}, ${s.base}, ${s.capacity}, ${from}, ${from + s.fields.size} }`
  })
  const fields = rows.map((row) => {
    const { field } = row
    const target = field.target === undefined ? 0 : `S_${field.target}`
    const watchers = judges.reduce(
      (bits, j, i) =>
        j.watches?.includes(`${row.of}.${row.name}`) === true ? bits | (1 << i) : bits,
      0,
    )
    const kind = `K_${field.kind.toUpperCase()}`
    return `{ S_${row.of}, ${row.offset}, ${field.words}, ${kind}, ${target}, ${watchers} }`
  })
  return [
    `const int struct_count = ${structs.length};`,
    `const Struct structs[] = { {0},\n${structs.join(',\n')} };`,
    `const Field fields[] = {\n${fields.join(',\n')} };`,
  ].join('\n')
}

function isTag(value: unknown): value is { id: number; cName: string } {
  return typeof value === 'function' && typeof (value as unknown as { id: unknown }).id === 'number'
}

/** The functions that ops tables have in the slots that are used, as functions of the model. */
export function functionsInSlots(world: World): KernelFunction[] {
  const tables = allOpsTables() as readonly Readonly<Record<string, unknown>>[]
  return tables.flatMap((t) =>
    world.slots.flatMap((slot) => {
      const value = t[slot]
      return isTag(value) ? [world.activeFunction(value)] : []
    }),
  )
}

export function opsText(world: World): string {
  const tables = allOpsTables() as readonly Readonly<Record<string, unknown>>[]
  const rows = tables.map((t) => world.slots.map((slot) => slotText(t[slot], world)).join(', '))
  const slots = Math.max(1, world.slots.length)
  return [
    `static V ops_slot(V table, int slot) {`,
    `  static const V tables[][${slots}] = { {0}${rows.map((r) => `,\n{ ${r || '0'} }`).join('')} };`,
    '  if (table == 0) fault("null-dereference", OOPS);',
    '  return tables[table][slot];',
    '}',
  ].join('\n')
}

function slotText(value: unknown, world: World): string {
  if (isTag(value)) return world.activeFunction(value).name
  if (typeof value === 'number') return `${value}`
  if (typeof value === 'boolean') return value ? '1' : '0'
  return typeof value === 'string' ? world.text(value) : '(1LL << 62)'
}

/** The conditions of all cases, judged in the one that runs. */
export function conditionsText(states: readonly InitialState[]): string {
  const cases = states.map(({ conditions }, i) => {
    const tests = conditions.flatMap((c) => {
      if (c.kind === 'sometimes') return []
      const test = `${c.kind === 'always' ? '!' : ''}(${formulaText(c.formula)})`
      return [`if (${test}) { report("condition-violated"); collect(); }`]
    })
    return `if (now_running == &cases[${i}]) {\n${tests.join('\n')}\n}`
  })
  return `static void judge_conditions(void) {\n${cases.join('\n')}\n}`
}

function formulaText(f: Formula): string {
  if (f.kind === 'not') return `!(${formulaText(f.inner)})`
  if (f.kind === 'compare') return `${operandText(f.left)} ${f.operator} ${operandText(f.right)}`
  return `(${formulaText(f.left)}) ${f.kind === 'and' ? '&&' : '||'} (${formulaText(f.right)})`
}

function operandText(o: Operand): string {
  return 'value' in o ? `${o.value}LL` : `variable(${o.variable})`
}

/** Most arguments of any operation. */
export function mostArguments(states: readonly InitialState[]): number {
  const all = states.flatMap((s) => s.program.tasks.flatMap((t) => t.operations))
  return Math.max(1, ...all.map((o) => o.args.length))
}

function valueText(value: unknown, of: Operation): string {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return `${value}LL`
  if (typeof value === 'boolean') return value ? '1' : '0'
  if (typeof value === 'bigint') {
    const [high, low] = [value >> 32n, value & 0xffffffffn]
    return `((B)${high}LL << 32) + ${low}LL`
  }
  throw new Error(`${of.text} has an argument of an unexpected kind`)
}

function operationText(o: Operation, world: World): string {
  const args = o.args.map((a) =>
    'value' in a
      ? `{ 0, ${valueText(a.value, o)} }`
      : `{ ${a.as === undefined || a.as === 'int' ? 'INT' : 'ALL'}, ${a.variable} }`,
  )
  return (
    `{ ${world.activeFunction(o.fn).name}, ${args.length}, { ${args.join(', ') || '{0}'} }, ` +
    `${o.variable ?? -1}, ${o.expected === undefined ? 0 : 1}, ${o.expected ?? 0} }`
  )
}

/** The programs and the memory that a model can begin with. */
export function casesText(states: readonly InitialState[], world: World): string {
  const texts: string[] = []
  const rows = states.map(({ words, program }, c) => {
    const tasks = program.tasks.map((t, n) => {
      const operations = t.operations.map((o) => operationText(o, world))
      texts.push(`static const Operation ops_${c}_${n}[] = { ${operations.join(',\n') || '{0}'} };`)
      return `{ ops_${c}_${n}, ${operations.length}, ${t.phase ?? 0}, ${t.daemon === true ? 1 : 0} }`
    })
    const list = words.map(([at, value]) => `{${at},${value}}`)
    texts.push(`static const Program tasks_${c}[] = { ${tasks.join(', ')} };`)
    texts.push(`static const Word words_${c}[] = { ${list.join(',')} };`)
    return `{ tasks_${c}, ${tasks.length}, words_${c}, ${words.length} }`
  })
  const exitWork = states[0]?.program.exitWork
  return [
    ...texts,
    `const int exit_work = ${exitWork === undefined ? 0 : world.activeFunction(exitWork).name};`,
    `const int case_count = ${states.length};`,
    `const Case cases[] = { ${rows.join(',\n')} };`,
  ].join('\n')
}
