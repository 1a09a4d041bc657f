/** C statements as the model's: jumps become labelled blocks, macros that loop become loops. */

import { type CNode, descendants, squash } from '../c/parse.js'
import { camelCase } from '../model/dictionary.js'
import { call, storeRange } from './call.js'
import { beginsScope, endBlock, freed, guard, leave, opened } from './cleanup.js'
import { coerce, sure } from './convert.js'
import { ASSIGNMENTS, LISTS, STATEMENTS, STRUCTS } from './crosswalk.js'
import { each } from './each.js'
import {
  announce,
  announced,
  condition,
  fieldOf,
  load,
  type Place,
  place,
  value,
} from './expression.js'
import { labelled } from './jumps.js'
import { arithmetic } from './numbers.js'
import { BIG, BOOL, cType, declaratorOf, NUM, structOf, type Type } from './types.js'
import { atom, Hole, type Jump, type Value, type Work } from './work.js'

/** All statements of a block; what cannot be translated becomes a trap. */
export function block(w: Work, node: CNode): void {
  const items = node.type === 'compound_statement' ? node.kids : [node]
  const jumps = items.some((s) => s.type === 'labeled_statement')
  const depth = w.cleanups.length
  w.declared.push(new Set())
  if (jumps) labelled(w, node, items)
  else for (const s of items) statement(w, s)
  w.declared.pop()
  endBlock(w, depth)
}

export function statement(w: Work, s: CNode): void {
  const from = w.out.length
  const open = w.cleanups.length
  const blocks = w.declared.length
  try {
    if (w.watched.has(s.line) && s.type !== 'compound_statement') {
      w.emit(`mark('line ${w.source.name}:${s.line}')`)
    }
    const said = STATEMENTS[squash(s.text)]
    if (said === undefined) translate(w, s)
    else w.emit(...said)
  } catch (error) {
    if (!(error instanceof Hole)) throw error
    w.out.length = from
    w.cleanups.length = Math.min(w.cleanups.length, open)
    w.declared.length = Math.min(w.declared.length, blocks)
    w.hole(error, s)
  }
}

function translate(w: Work, s: CNode): void {
  switch (s.type) {
    case ';':
    case 'empty_statement':
      return
    case 'compound_statement':
      block(w, s)
      return
    case 'declaration':
      declaration(w, s)
      return
    case 'expression_statement':
      if (s.kids[0] !== undefined) effect(w, s.kids[0])
      return
    case 'if_statement':
      branch(w, s)
      return
    case 'return_statement':
      returns(w, s)
      return
    case 'for_statement':
      forLoop(w, s)
      return
    case 'while_statement':
      whileLoop(w, s)
      return
    case 'do_statement':
      doLoop(w, s)
      return
    case 'switch_statement':
      choice(w, s)
      return
    case 'goto_statement': {
      const label = s.fields.label?.text ?? ''
      const depth = w.labels.get(label) ?? 0
      if (depth > w.cleanups.length) throw new Hole('a goto into a guarded scope', s)
      leave(w, depth)
      w.emit(`${w.loops.has(label) ? 'continue' : 'break'} ${camelCase(label)}`)
      return
    }
    case 'break_statement':
      jump(w, w.breaks.at(-1) ?? { code: 'break', depth: 0 }, s)
      return
    case 'continue_statement':
      jump(w, w.continues.at(-1) ?? { code: 'continue', depth: 0 }, s)
      return
    default:
      throw new Hole(`a ${s.type.replaceAll('_', ' ')}`, s)
  }
}

function jump(w: Work, { code, depth }: Jump, s: CNode): void {
  if (code === undefined) throw new Hole('a jump that only ends a scoped_guard()', s)
  leave(w, depth)
  w.emit(code)
}

// ---- Branches and loops ------------------------------------------------------------------------------

function branch(w: Work, s: CNode): void {
  const c = condition(w, s.fields.condition as CNode)
  if (c === 'false' && s.fields.alternative === undefined) return
  w.emit(`if (${c}) {`)
  block(w, s.fields.consequence as CNode)
  const other = s.fields.alternative
  if (other !== undefined) {
    w.emit('} else {')
    for (const k of other.type === 'else_clause' ? other.kids : [other]) block(w, k)
  }
  w.emit('}')
}

function choice(w: Work, s: CNode): void {
  const v = value(w, s.fields.condition as CNode)
  w.emit(`switch (${v.code}) {`)
  w.breaks.push({ code: 'break', depth: w.cleanups.length })
  for (const c of (s.fields.body as CNode).kids) {
    if (c.type !== 'case_statement') throw new Hole('a switch with code outside of its cases', c)
    const label = c.fields.value
    w.emit(label === undefined ? 'default: {' : `case ${value(w, label, v.type).code}: {`)
    for (const k of c.kids) {
      if (beginsScope(k)) throw new Hole('a guard that begins in one case of a switch', k)
      if (k !== label) statement(w, k)
    }
    w.emit('}')
  }
  w.breaks.pop()
  w.emit('}')
}

/** The body of a loop; `continue` leaves it and goes on with the step behind it. */
export function loopBody(w: Work, body: CNode, step: () => void, hasStep: boolean): void {
  const jumps = hasStep && descendants(body, 'continue_statement').length > 0
  const label = jumps ? w.label('next') : ''
  if (jumps) w.emit(`${label}: {`)
  const depth = w.cleanups.length
  w.continues.push({ code: jumps ? `break ${label}` : 'continue', depth })
  w.breaks.push({ code: 'break', depth })
  block(w, body)
  w.continues.pop()
  w.breaks.pop()
  if (jumps) w.emit('}')
  step()
}

function whileLoop(w: Work, s: CNode): void {
  w.emit('for (;;) {')
  w.emit(`if (!(${condition(w, s.fields.condition as CNode)})) break`)
  loopBody(w, s.fields.body as CNode, () => {}, false)
  w.emit('}')
}

function doLoop(w: Work, s: CNode): void {
  const test = s.fields.condition as CNode
  if (/^\(\s*0\s*\)$/.test(test.text)) {
    block(w, s.fields.body as CNode)
    return
  }
  w.emit('for (;;) {')
  loopBody(w, s.fields.body as CNode, () => w.emit(`if (!(${condition(w, test)})) break`), true)
  w.emit('}')
}

function forLoop(w: Work, s: CNode): void {
  const first = s.fields.initializer
  const macro = first?.type === 'call_expression' ? first.fields.function?.text : undefined
  const body = s.fields.body as CNode
  if (macro === '__each') {
    each(w, first as CNode, body, s)
    return
  }
  if (macro === '__scoped_guard') {
    guarded(w, first as CNode, body)
    return
  }
  if (first?.type === 'declaration') declaration(w, first)
  else if (first !== undefined) effect(w, first)
  w.emit('for (;;) {')
  const test = s.fields.condition
  if (test !== undefined) w.emit(`if (!(${condition(w, test)})) break`)
  const step = s.fields.update
  loopBody(w, body, () => step && effect(w, step), step !== undefined)
  w.emit('}')
}

/** A scope of its own; `break` and `continue` would end no more than that. */
function guarded(w: Work, macro: CNode, body: CNode): void {
  const depth = w.cleanups.length
  const none = { code: undefined, depth }
  guard(w, macro)
  w.continues.push(none)
  w.breaks.push(none)
  block(w, body)
  w.continues.pop()
  w.breaks.pop()
  endBlock(w, depth)
}

// ---- Declarations and effects --------------------------------------------------------------------------

function declaration(w: Work, s: CNode): void {
  const type = s.fields.type as CNode
  for (const d of s.kids) {
    if (d === type || /qualifier|specifier/.test(d.type)) continue
    const init = d.type === 'init_declarator' ? d.fields.value : undefined
    const { name, pointers } = declaratorOf(
      d.type === 'init_declarator' ? (d.fields.declarator as CNode) : d,
    )
    if (name === undefined) continue
    mustBeVisible(w, name, d)
    declare(w, name, cType(type, pointers, w.scope, STRUCTS), init)
  }
}

/** All locals of a function have names of their own here: one that hides another would be it. */
function mustBeVisible(w: Work, name: string, e: CNode): void {
  if (w.declared.slice(0, -1).some((names) => names.has(name))) {
    throw new Hole(`a ${name} that hides another one`, e)
  }
  w.declared.at(-1)?.add(name)
}

function declare(w: Work, name: string, type: Type, init: CNode | undefined): void {
  if (type.k === 'list') {
    if (init !== undefined) {
      w.heads.set(name, init.type === 'pointer_expression' ? (init.fields.argument as CNode) : init)
    }
    return
  }
  if (init?.type === 'initializer_list') {
    record(w, name, init)
    return
  }
  let local = w.locals.get(name)
  if (local === undefined || local.given) {
    // A parameter that only the model has, under the same name, is still there.
    if (local !== undefined) w.locals.set(`${name} of the model`, local)
    local = { ts: w.name(camelCase(name)), type, given: false, used: false }
    w.locals.set(name, local)
  }
  if (init !== undefined) assignTo(w, { code: local.ts, type: local.type, local }, init)
}

/** `struct range r = { .start = … }`: each member is a local of its own. */
function record(w: Work, name: string, init: CNode): void {
  for (const pair of init.kids) {
    if (pair.type !== 'initializer_pair') throw new Hole('a struct literal without names', init)
    const member = pair.kids[0]?.text.replace(/^\./, '') ?? ''
    const key = `${name}.${member}`
    let v: Value
    try {
      v = value(w, pair.fields.value as CNode)
    } catch (error) {
      // A member that the model does without; who reads it meets the hole.
      if (error instanceof Hole) continue
      throw error
    }
    const local = w.locals.get(key) ?? {
      ts: w.name(camelCase(`${name}_${member}`)),
      type: v.type,
      given: false,
      used: true,
    }
    local.used = true
    w.locals.set(key, local)
    w.emit(`${local.ts} = ${coerce(v, local.type).code}`)
  }
  w.locals.set(name, { ts: camelCase(name), type: { k: 'record' }, given: true, used: false })
}

function effect(w: Work, e: CNode): void {
  switch (e.type) {
    case 'parenthesized_expression':
      effect(w, e.kids[0] as CNode)
      return
    case 'comma_expression':
      for (const k of e.kids) effect(w, k)
      return
    case 'assignment_expression':
      assign(w, e.fields.left as CNode, e.fields.right as CNode, e.operator ?? '=')
      return
    case 'update_expression':
      update(w, place(w, e.fields.argument as CNode), e.operator === '++' ? '+' : '-', NUM)
      return
    case 'call_expression':
      callStatement(w, e)
      return
    default: {
      const { code } = value(w, e)
      if (/[(]/.test(code)) w.emit(code)
    }
  }
}

function callStatement(w: Work, e: CNode): void {
  const name = e.fields.function?.text ?? ''
  const args = (e.fields.arguments as CNode).kids
  if (name === '__guard') {
    guard(w, e)
    return
  }
  if (name === '__cleanup') {
    freed(w, e)
    return
  }
  if (name === '__class') {
    opened(w, e)
    return
  }
  if (name === 'xa_store_range') {
    storeRange(w, args, e)
    return
  }
  if (name === 'list_add') {
    listAdd(w, args, e)
    return
  }
  const rows = w.around.isTouched(name) ? undefined : ASSIGNMENTS[name]
  if (rows === undefined) {
    const { code } = call(w, e)
    if (!/^[\w.!-]*$/.test(code)) w.emit(code)
    return
  }
  for (const [to, from] of rows) {
    const field = /^\$0\.(\w+)$/.exec(to)?.[1]
    const at =
      field === undefined
        ? place(w, args[0] as CNode)
        : fieldOf(w, value(w, args[0] as CNode), field, e)
    if (from === '$1') assignTo(w, at, args[1] as CNode)
    else store(w, at, atom(from === '?movable' ? movable(e) : from, BOOL))
  }
}

/** Does a mask of page allocation have __GFP_MOVABLE? */
function movable(e: CNode): string {
  const text = squash(e.text)
  if (/~ ?__GFP_MOVABLE|\bGFP_(?:HIGHUSER|KERNEL|USER)\b/.test(text)) return 'false'
  if (/\bGFP_HIGHUSER_MOVABLE\b/.test(text)) return 'true'
  throw new Hole('a mask of page allocation', e)
}

/** list_add(): in front of the first element. */
function listAdd(w: Work, args: readonly CNode[], e: CNode): void {
  const [entry, head] = args.map((a) => a.fields.argument)
  const row = LISTS[`${head?.fields.field?.text},${entry?.fields.field?.text}`]
  if (entry === undefined || head === undefined || row === undefined) {
    throw new Hole('a list that is not in the model', e)
  }
  const object = sure(value(w, entry.fields.argument as CNode))
  const first = row.first.replace('$head', sure(value(w, head.fields.argument as CNode)))
  w.emit(`${object}.${row.next} = ${first}`)
  w.emit(`${first.replace(/^\((.*) as .*\)$/, '$1')} = ${object}`)
  if (row.listed !== undefined) w.emit(`${object}.${row.listed} = true`)
}

/** `left = right`, `left += right` and so on. */
export function assign(w: Work, left: CNode, right: CNode, op: string): void {
  const at = place(w, left)
  if (op === '=') {
    assignTo(w, at, right)
    return
  }
  const v = value(w, right, at.type)
  if (at.type.k === 'bool') {
    if (op !== '|=') throw new Hole(`${op} of a bool`, left)
    const now = w.keep(coerce(v, BOOL).code)
    store(w, at, atom(`${at.code} || ${now}`, BOOL))
    return
  }
  update(w, at, op.slice(0, -1), v)
}

/** A read and a write: others may come between them if the field is announced. */
function update(w: Work, at: Place, op: string, by: Value | Type): void {
  if (at.dropped) return
  const one = atom(at.type.k === 'big' ? '1n' : '1', at.type.k === 'big' ? BIG : NUM)
  const v = 'code' in by ? by : one
  const old = announced(w, at) ? load(w, at) : atom(at.code, at.type)
  store(w, at, arithmetic(old, op, v))
}

function assignTo(w: Work, at: Place, right: CNode): void {
  if (at.dropped) return
  const v = value(w, right, at.type)
  if (v.type.k === 'text') return
  if (v.type.k === 'num' && !v.literal && (at.type.k === 'any' || at.type.k === 'ptr')) {
    throw new Hole(`${squash(right.text)}, a number, as a pointer`, right)
  }
  const { local } = at
  const learns = local !== undefined && !local.given
  if (learns && (local.type.k === 'foreign' || local.type.k === 'list')) {
    if (v.type.k === 'foreign') throw new Hole(`${squash(right.text)} is not in the model`, right)
    retype(w, local, v.type)
  } else if (learns && local.type.k === 'num' && (v.type.k === 'wide' || v.type.k === 'big')) {
    retype(w, local, v.type.k === 'big' ? BIG : v.type)
  }
  store(w, local === undefined ? at : { ...at, type: local.type }, v)
}

export function retype(w: Work, local: { type: Type }, type: Type): void {
  if (local.type.k === type.k) return
  local.type = type
  w.changed = true
}

/** Write a place; one that somebody announces is announced, with a value known before. */
export function store(w: Work, at: Place, v: Value): void {
  if (at.dropped) return
  if (at.local !== undefined) at.local.used = true
  const { code } = coerce(v, at.type)
  if (!announced(w, at)) {
    w.emit(`${at.code} = ${code}`)
    return
  }
  const known = /^(?:[A-Za-z_$][\w$]*!?|-?\d+n?)$/.test(code) ? code : w.keep(code)
  const object = announce(w, 'write', at)
  w.emit(`${object}.${at.field} = ${known}`)
}

function returns(w: Work, s: CNode): void {
  const [e] = s.kids
  if (e === undefined) {
    leave(w, 0)
    w.emit('return')
    return
  }
  if (w.resultByPointer) {
    returnsThroughPointer(w, e)
    return
  }
  if (w.returns.k === 'void') {
    effect(w, e)
    leave(w, 0)
    w.emit('return')
    return
  }
  result(w, coerce(value(w, e, w.returns), w.returns).code)
}

/** The result is known before the scopes that are open end. */
function result(w: Work, code: string): void {
  const known = w.cleanups.length === 0 || /^-?\w+n?$/.test(code) ? code : w.keep(code)
  leave(w, 0)
  w.emit(`return ${known}`)
}

/** C returns 0 or an error, and the result through a pointer; the model returns either. */
function returnsThroughPointer(w: Work, e: CNode): void {
  const local = [...w.locals.values()].find((l) => l.result)
  const struct = structOf(w.returns)
  if (local === undefined || struct === undefined) throw new Hole('where the result goes', e)
  if (e.text === '0') {
    result(w, `${local.ts}!`)
    return
  }
  const v = coerce(value(w, e, NUM), NUM)
  if (/^-[A-Z]/.test(v.code)) {
    result(w, `errPtr(${struct}, ${v.code})`)
    return
  }
  const error = w.keep(v.code)
  result(w, `${error} !== 0 ? errPtr(${struct}, ${error}) : ${local.ts}!`)
}
