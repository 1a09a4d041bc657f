/**
 * Tables of operations that a patch changes. A slot of a table that the model has is filled with
 * what the patch puts there, translated; with a trap if that cannot be; or emptied.
 */
import type { TableChange } from './changes.js'
import { camelCase, type ModelOps } from './model/dictionary.js'
import { type Context, type Entry, NOTHING } from './plan.js'
import { SLOTS } from './translate/crosswalk.js'
import type { Piece } from './translate/module.js'
import type { HoleNote } from './translate/work.js'
import { slotWords } from './users.js'

export function tableEntry(change: TableChange, uses: Context): Entry {
  const { table, was, file } = change
  const base = { ...NOTHING, name: table.name, file, kind: 'table' as const, holes: [] }
  const type = uses.scope.opsOfStruct(table.struct)
  if (type === undefined) {
    const slots = slotsApart(change)
    for (const f of uses.scope.running()) {
      const isSlot = slots.some((s) => f.models?.includes(`${table.struct}.${s}`))
      if (isSlot) uses.trap(f, `${f.models}, which the patch fills otherwise`)
    }
    const users = uses.concern(slotWords(table, slots), `it calls what ${table.name} has`)
    const what = `struct ${table.struct}; who rests on it: ${users}`
    return { ...base, how: 'not modelled', holes: [hole(change, what)] }
  }
  const ts = uses.scope.tableNamed(table.name)?.ts
  if (ts === undefined && was === undefined) {
    const made = uses.session.newTable(table.name)
    const holes = (made?.holes ?? []).map((reason) => ({ reason, line: table.line, c: '' }))
    return { ...base, how: made === undefined ? 'not modelled' : 'new', holes }
  }
  if (ts === undefined) {
    const words = slotWords(table, slotsApart(change))
    const users = uses.concern(words, `it calls what ${table.name} has`)
    const what = `${table.name}; who rests on it: ${users}`
    return { ...base, how: 'not modelled', holes: [hole(change, what)] }
  }
  const holes: HoleNote[] = []
  for (const name of slotsApart(change)) {
    const slot = SLOTS[name] ?? camelCase(name)
    if (type.slots[slot] === undefined) {
      const users = uses.concern(slotWords(table, [name]), `it calls the operation ${name}`)
      holes.push(hole(change, `operation ${name}; who rests on it: ${users}`))
    } else holes.push(...filled(change, name, { ts, type, slot }, uses))
  }
  const how = slotsApart(change).length === 0 ? 'no effect' : 'translated'
  return { ...base, how, holes }
}

function hole({ table }: TableChange, what: string): HoleNote {
  return { reason: `the model has no ${what}`, line: table.line, c: '' }
}

/** Names of slots that have another value. */
export function slotsApart({ table, was }: TableChange): string[] {
  const [a, b] = [new Map(was?.slots ?? []), new Map(table.slots)]
  const names = new Set([...a.keys(), ...b.keys()])
  // The module that it belongs to, whom a reference keeps: the model unloads none.
  return [...names].filter((n) => n !== 'owner' && a.get(n) !== b.get(n))
}

interface Slot {
  readonly ts: string
  readonly type: ModelOps
  readonly slot: string
}

/** Fill a slot, and say what of that cannot be judged. */
function filled(
  { table }: TableChange,
  name: string,
  { ts, type, slot }: Slot,
  { scope, session, pieces }: Context,
): readonly HoleNote[] {
  const value = table.slots.find(([n]) => n === name)?.[1]
  const at = { table: ts, slot }
  const piece = (made: string, text: string): Piece => ({
    ...{ name: made, text, slots: [at] },
    comment: `${table.name}.${name}.`,
  })
  const own = `${ts}_${slot}$`
  if (value === undefined || value === 'NULL') {
    pieces.push(piece(own, 'undefined'))
    return []
  }
  const fresh = session.newFunction(value)
  const model = fresh?.model ?? scope.callee(value)
  if (model !== undefined) {
    pieces.push(piece(own, model.ts))
    return fresh?.holes ?? []
  }
  const reason = `.${name} of ${table.name} is ${value}(), which is not in the model`
  const result = type.slots[slot]?.returns ?? 'void'
  const trap = `fn(function* ${/^\w+$/.test(value) ? value : name}(): Kernel<${result}> {\n  hole(${JSON.stringify(reason)})\n})`
  pieces.push(piece(own, trap))
  return [{ reason, line: table.line, c: '' }]
}
