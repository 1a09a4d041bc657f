/** C calls: of kernel functions that the model has, of its macros, through tables of operations. */

import { isSet } from '../c/config.js'
import { type CNode, squash } from '../c/parse.js'
import { camelCase, type Param } from '../model/dictionary.js'
import { count } from './atomic.js'
import { coerce, sure } from './convert.js'
import { CALLS, type CallRow, EXPRESSIONS, type Row, STRUCTS, WITHOUT_EFFECT } from './crosswalk.js'
import { announced, condition, fieldOf, load, type Place, place, value } from './expression.js'
import { store } from './statement.js'
import {
  BIG,
  BOOL,
  cType,
  isPointer,
  modelType,
  NUM,
  pointerTo,
  sameKind,
  structOf,
  type Type,
  VOID,
} from './types.js'
import { atom, BIND, Hole, type Value, type Work, within } from './work.js'

/** A call's value. One that does nothing in the model has no text. */
export function call(w: Work, e: CNode, want?: Type): Value {
  const callee = e.fields.function as CNode
  const args = (e.fields.arguments as CNode).kids
  if (callee.type === 'field_expression') return slotCall(w, callee, args, e)
  if (callee.type !== 'identifier') throw new Hole(`a call through ${squash(callee.text)}`, e)
  const name = callee.text
  const touched = w.around.isTouched(name)
  const special = touched ? undefined : SPECIAL[name]
  if (special !== undefined) return special(w, args, e, want)
  const row = touched ? undefined : EXPRESSIONS[name]
  if (row !== undefined) return expression(w, row, args, e)
  if (w.locals.has(name)) throw new Hole(`a call through ${name}`, e)
  const counted = touched ? undefined : count(w, name, args, e)
  if (counted !== undefined) return counted
  const own = w.around.newFunction(name)
  if (own !== undefined) {
    // What it lacks, the caller lacks.
    w.holes.push(...own.holes)
    w.assumptions.push(...own.assumptions)
    return modelCall(w, own.model, args, { to: own.model.ts, args: own.args }, e)
  }
  if (!touched && WITHOUT_EFFECT.test(name)) {
    w.dropped.push(squash(e.text).slice(0, 80))
    return { ...atom('0', NUM), literal: true }
  }
  const crossed = touched ? undefined : CALLS[name]
  const target =
    crossed === undefined
      ? w.scope.callee(name)
      : (w.scope.functionTs(crossed.to) ?? w.scope.callee(name))
  if (target !== undefined) {
    if (crossed !== undefined && w.target?.ts === target.ts && w.source.name !== name) {
      throw new Hole(`${name}() and ${w.source.name}() are one function in the model`, e)
    }
    return modelCall(w, target, args, crossed, e)
  }
  const assumed = w.around.assumed(name)
  if (assumed !== undefined) return assumption(w, name, assumed)
  throw new Hole(`${name}() is not in the model`, e)
}

type Special = (w: Work, args: readonly CNode[], e: CNode, want: Type | undefined) => Value

const warn: Special = (w, [c]) => {
  const text = condition(w, c as CNode)
  const why = `${w.source.name}: ${squash((c as CNode).text)}`
  return atom(`warnOn(${text}, ${JSON.stringify(why)})`, BOOL)
}

const allocate: Special = (_w, _args, e, want) => {
  if (want?.k !== 'ptr') throw new Hole('what is allocated is not known', e)
  return atom(`kzalloc(${want.struct})`, pointerTo(want.struct, true))
}

/** Of a VM that is taken out of service by it. */
const bugged: Special = (w, [c, kvm]) => {
  const text = condition(w, c as CNode)
  const vm = sure(value(w, kvm as CNode))
  const why = `${w.source.name}: ${squash((c as CNode).text)}`
  return atom(`kvmBugOn(${vm}, ${text}, ${JSON.stringify(why)})`, BOOL)
}

/** WARN_ON(condition) and friends: the condition decides. */
const SPECIAL: Readonly<Record<string, Special>> = {
  __proto__: null as never,
  WARN_ON: warn,
  WARN_ON_ONCE: warn,
  WARN_ONCE: warn,
  WARN: warn,
  KVM_BUG_ON: bugged,
  BUG_ON: (w, [c]) => atom(`bugOn(${condition(w, c as CNode)}, '${w.source.name}')`, VOID),
  BUG: (w) => atom(`bugOn(true, '${w.source.name}')`, VOID),
  IS_ENABLED: (_w, [option]) => atom(String(isSet(option?.text ?? '')), BOOL),
  IS_ERR: (w, [p]) => atom(`isErr(${value(w, p as CNode).code})`, BOOL),
  IS_ERR_OR_NULL: (w, [p]) => {
    const code = w.keep(value(w, p as CNode).code)
    return { code: `${code} === null || isErr(${code})`, type: BOOL, bind: BIND.orOr }
  },
  PTR_ERR: (w, [p]) => atom(`ptrErr(${sure(value(w, p as CNode))})`, NUM),
  PTR_ERR_OR_ZERO: (w, [p]) => {
    const code = w.keep(value(w, p as CNode).code)
    return { code: `isErr(${code}) ? ptrErr(${code}!) : 0`, type: NUM, bind: BIND.choice }
  },
  ERR_PTR: (w, [error], e, want) => {
    const struct = pointedTo(w, want, e)
    return atom(`errPtr(${struct}, ${value(w, error as CNode, NUM).code})`, pointerTo(struct, true))
  },
  ERR_CAST: (w, [p], e, want) => {
    const struct = pointedTo(w, want, e)
    const error = `ptrErr(${sure(value(w, p as CNode))})`
    return atom(`errPtr(${struct}, ${error})`, pointerTo(struct, true))
  },
  container_of: (w, [p, type, member], e) => {
    const name = type?.text ?? ''
    const struct = w.scope.structNamed(STRUCTS[name] ?? name)
    if (struct === undefined) throw new Hole(`struct ${name} is not in the model`, e)
    const inner = sure(value(w, p as CNode))
    const field = camelCase(member?.text ?? '')
    if (struct.fields[field] === undefined) {
      throw new Hole(`struct ${struct.c} has no ${member?.text} in the model`, e)
    }
    return atom(`containerOf(${inner}, ${struct.ts}, '${field}')`, pointerTo(struct.ts, true))
  },
  anon_inode_create_getfile: (w, [, fops, data, flags]) => {
    const table = value(w, fops as CNode).code
    const owner = value(w, data as CNode).code
    const inode = w.keep('yield* allocAnonInode(fsState().anonInodes!)')
    const file = w.keep(`allocFilePseudo(${inode}, ${table}, ${value(w, flags as CNode).code})`)
    w.emit(`${file}.privateData = ${owner}`)
    return atom(file, pointerTo('File', true))
  },
  xa_store_range: (_w, _args, e) => {
    throw new Hole('what xa_store_range() returns', e)
  },
  kzalloc: allocate,
  kmalloc: allocate,
  kzalloc_obj: allocate,
  kvzalloc: allocate,
  min: extreme('min', 0),
  max: extreme('max', 0),
  min_t: extreme('min', 1),
  max_t: extreme('max', 1),
}

function pointedTo(w: Work, want: Type | undefined, e: CNode): string {
  const struct = structOf(w.returns) ?? (want && structOf(want))
  const found = want?.k === 'ptr' ? want.struct : struct
  if (found === undefined) throw new Hole('the type of an ERR_PTR is not known', e)
  return found
}

function extreme(which: 'min' | 'max', from: number): Special {
  return (w, args) => {
    const a = value(w, args[from] as CNode)
    const b = value(w, args[from + 1] as CNode, a.type)
    const type = a.type.k === 'wide' ? a.type : b.type.k === 'wide' ? b.type : a.type
    if (a.type.k === 'big' || b.type.k === 'big') {
      const [x, y] = [w.keep(coerce(a, BIG).code), w.keep(coerce(b, BIG).code)]
      const sign = which === 'min' ? '<' : '>'
      return { code: `${x} ${sign} ${y} ? ${x} : ${y}`, type: BIG, bind: BIND.choice }
    }
    const code = `Math.${which}(${a.code}, ${b.code})`
    return type.k === 'wide'
      ? { code: `${code} as ${type.name}`, type, bind: BIND.as }
      : atom(code, type)
  }
}

/** A row of the crosswalk: a field of the argument, the argument itself, or an expression. */
function expression(w: Work, [template, type]: Row, args: readonly CNode[], e: CNode): Value {
  const path = /^\$0((?:\.\w+)*)$/.exec(template)?.[1]
  if (path !== undefined && type === undefined) {
    let v = value(w, args[0] as CNode)
    for (const field of path.split('.').slice(1)) v = load(w, fieldOf(w, v, field, e))
    return v
  }
  const code = fill(w, template, args, e)
  for (const [name] of code.matchAll(/(?<![\w.$'])[a-z]\w*(?=\()/g)) {
    if (w.scope.fileOf(name) === undefined)
      throw new Hole(`${e.fields.function?.text}() is not in the model`, e)
  }
  return {
    code,
    type: rowType(w, type),
    bind: /^[\w$.]+\(.*\)$|^\(.*\)$|^\w+$/.test(code) ? BIND.atom : BIND.choice,
  }
}

function rowType(w: Work, type: string | undefined): Type {
  const struct = /^struct (\w+)/.exec(type ?? '')?.[1]
  if (struct !== undefined) {
    const found = w.scope.structNamed(struct)
    return found === undefined ? NUM : pointerTo(found.ts)
  }
  const node = { text: type ?? 'int' } as CNode
  return cType(node, 0, w.scope, STRUCTS)
}

/** A template with the arguments in it. */
function fill(w: Work, template: string, args: readonly CNode[], e: CNode, param?: Param): string {
  const [, mark, at] = /^([*^])\$(\d)$/.exec(template) ?? []
  if (mark !== undefined) {
    const argument = args[Number(at)] as CNode
    const inner =
      argument.type === 'pointer_expression' ? (argument.fields.argument as CNode) : argument
    if (mark === '*') return passed(w, value(w, inner), param).code
    // The object that a list entry lies in.
    return sure(value(w, inner.fields.argument as CNode))
  }
  const whole = /^\$(\d)$/.exec(template)?.[1]
  if (whole !== undefined) {
    const argument = args[Number(whole)]
    if (argument === undefined) throw new Hole('an argument is missing', e)
    return passed(w, value(w, argument, param && modelType(param.type, w.scope)), param).code
  }
  // The text of an argument is the name of a lock.
  const named = /^'#(\d)'$/.exec(template)?.[1]
  if (named !== undefined) {
    return JSON.stringify(squash(args[Number(named)]?.text ?? '').replace(/^&/, ''))
  }
  return template.replace(/\$(\d)(!?)(?:\.(\w+))?/g, (_all, n: string, bang: string, member) => {
    const argument = args[Number(n)]
    if (argument === undefined) throw new Hole('an argument is missing', e)
    const record = member === undefined ? undefined : recordMember(w, argument, String(member))
    if (record !== undefined) return record
    const v = value(w, argument)
    const text = bang === '!' ? sure(v) : within(v, BIND.as)
    return member === undefined ? text : `${text}.${member}`
  })
}

function recordMember(w: Work, argument: CNode, member: string): string | undefined {
  const name = argument.text.replace(/^&\s*/, '')
  const local = w.locals.get(`${name}.${member}`)
  if (local === undefined) return undefined
  local.used = true
  return local.type.k === 'ptr' && !local.type.sure ? `${local.ts}!` : local.ts
}

function passed(w: Work, v: Value, param: Param | undefined): Value {
  const t = param === undefined ? undefined : modelType(param.type, w.scope)
  if (t === undefined || v.type.k === 'embed' || v.type.k === 'function') return v
  return coerce(v, t)
}

/** The model's function, with what it wants of the arguments. */
export function modelCall(
  w: Work,
  f: { ts: string; kind: string; params: readonly Param[]; returns: string },
  args: readonly CNode[],
  row: CallRow | undefined,
  e: CNode,
): Value {
  const given =
    row?.args?.map((t, i) => fill(w, t, args, e, f.params[i])) ?? fitted(w, args, f.params, e)
  if (row?.xarray !== undefined && w.announces) announceArray(w, row.xarray, args[0] as CNode)
  const type = modelType(f.returns, w.scope)
  if (type === undefined && f.returns !== 'never') {
    throw new Hole(`${f.ts}() returns what no local can be`, e)
  }
  const plain = `${f.ts}(${given.join(', ')})`
  if (f.kind === 'generator' && !w.announces) {
    throw new Hole(
      `${e.fields.function?.text}() may sleep or be preempted, and the model's function may not`,
      e,
    )
  }
  const code = f.kind === 'generator' ? `yield* ${plain}` : plain
  const bind = f.kind === 'generator' ? BIND.yield : BIND.atom
  if (row?.out !== undefined) return outCall(w, code, type ?? NUM, args[row.out] as CNode)
  if (row?.fills !== undefined && type !== undefined)
    return filled(w, code, type, row.fills, args, e)
  if (row?.test !== undefined) {
    return {
      code: `${within({ code, type: NUM, bind }, BIND.as)} ${row.test}`,
      type: BOOL,
      bind: BIND.as,
    }
  }
  return { code, type: type ?? VOID, bind }
}

function announceArray(w: Work, kind: 'read' | 'rmw', array: CNode): void {
  if (!w.scope.isAnnounced('XArray', 'xaHead')) return
  w.emit(`yield ${kind}(${value(w, array).code}, 'xaHead')`)
}

/**
 * xa_store_range() whose answer nobody asks: without memory nothing is stored. NULL takes the place
 * of what is there, and needs none.
 */
export function storeRange(w: Work, args: readonly CNode[], e: CNode): void {
  const target = w.scope.functionTs('xaStoreRange')
  if (target === undefined) throw new Hole('xa_store_range() is not in the model', e)
  const row = CALLS.xa_store_range
  if (args[3]?.text === 'NULL') {
    w.emit(modelCall(w, target, args, row, e).code)
    return
  }
  if (!w.announces) throw new Hole('an allocation where the model may not be preempted', e)
  w.emit('if (!(yield* shouldFailslab())) {')
  w.emit(modelCall(w, target, args, row, e).code, '}')
}

/** A result that C puts behind a pointer: stored, and the call says 0 or the error. */
function outCall(w: Work, code: string, type: Type, out: CNode): Value {
  const at: Place = place(
    w,
    out.type === 'pointer_expression' ? (out.fields.argument as CNode) : out,
  )
  const result = w.keep(code)
  store(w, at, atom(result, type))
  return { code: `isErr(${result}) ? ptrErr(${result}!) : 0`, type: NUM, bind: BIND.choice }
}

/** What C stores through an out parameter, read from the result unless that is an error. */
function filled(
  w: Work,
  code: string,
  type: Type,
  [argument, field]: readonly [number, string],
  args: readonly CNode[],
  e: CNode,
): Value {
  const result = atom(w.keep(code), type)
  const out = args[argument]
  if (out?.type !== 'pointer_expression') return result
  w.emit(`if (!isErr(${result.code})) {`)
  store(w, place(w, out.fields.argument as CNode), load(w, fieldOf(w, result, field, e)))
  w.emit('}')
  return result
}

/**
 * Arguments one by one; if the model does without some, those of the parameters' names, and those
 * that fit, in order. Which these are has to be the same from the front and from the back.
 */
function fitted(w: Work, args: readonly CNode[], params: readonly Param[], e: CNode): string[] {
  if (args.length === params.length) {
    return args.map((a, i) => {
      const param = params[i] as Param
      return passed(w, value(w, a, modelType(param.type, w.scope)), param).code
    })
  }
  const lost = args.find((a) => a.type === 'pointer_expression' && w.locals.has(a.text.slice(1)))
  if (lost !== undefined) {
    throw new Hole(`what ${e.fields.function?.text}() stores in ${lost.text.slice(1)}`, e)
  }
  const named = new Map(params.map((p) => [p, args.find((a) => camelCase(a.text) === p.name)]))
  const rest = args.filter((a) => ![...named.values()].includes(a))
  const front = chosen(w, rest, params, named)
  const back = chosen(w, [...rest].reverse(), [...params].reverse(), named)?.reverse()
  const callee = e.fields.function?.text
  if (front === undefined || back === undefined) {
    const wanted = params.map((p) => p.name).join(', ')
    throw new Hole(`the arguments of ${callee}() do not give the model's ${wanted}`, e)
  }
  const unclear = params.find((_p, i) => front[i] !== back[i])
  if (unclear !== undefined) {
    throw new Hole(`which argument of ${callee}() is the model's ${unclear.name}`, e)
  }
  return front.map((a, i) => {
    const param = params[i] as Param
    return passed(w, value(w, a, modelType(param.type, w.scope)), param).code
  })
}

/** For each parameter its argument, or the next that fits; undefined if there are not enough. */
function chosen(
  w: Work,
  args: readonly CNode[],
  params: readonly Param[],
  named: ReadonlyMap<Param, CNode | undefined>,
): CNode[] | undefined {
  let next = 0
  const found = params.map((param) => {
    const own = named.get(param)
    if (own !== undefined) return own
    const t = modelType(param.type, w.scope)
    while (next < args.length) {
      const a = args[next++] as CNode
      if (t !== undefined && isFitting(w, a, t)) return a
    }
    return undefined
  })
  return found.includes(undefined) ? undefined : (found as CNode[])
}

function isFitting(w: Work, a: CNode, t: Type): boolean {
  const notes = [w.holes, w.dropped, w.assumptions]
  const before = notes.map((n) => n.length)
  try {
    const [v] = w.aside(() => value(w, a, t))
    return fits(v, t)
  } catch (error) {
    if (error instanceof Hole) return false
    throw error
  } finally {
    for (const [i, n] of notes.entries()) n.length = before[i] as number
  }
}

function fits(v: Value, t: Type): boolean {
  if (sameKind(v.type, t)) return true
  if (isPointer(v.type) && isPointer(t)) return v.type.k === 'any' || t.k === 'any'
  return v.type.k === 'num' && (t.k === 'wide' || t.k === 'big')
}

/** A call through a table of operations. */
function slotCall(w: Work, callee: CNode, args: readonly CNode[], e: CNode): Value {
  const at = place(w, callee)
  if (at.type.k !== 'slot') throw new Hole(`a call through ${squash(callee.text)}`, e)
  const slot = w.scope.ops(at.type.of)?.slots[at.type.slot]
  if (slot === undefined) throw new Hole(`a call through ${squash(callee.text)}`, e)
  if (announced(w, at)) throw new Hole('an operation that others change', e)
  const given = slotArguments(w, at.type.slot, args, slot.params, e)
  const type = modelType(slot.returns, w.scope) ?? NUM
  return { code: `yield* ${at.code}!(${given.join(', ')})`, type, bind: BIND.yield }
}

function slotArguments(
  w: Work,
  slot: string,
  args: readonly CNode[],
  params: readonly Param[],
  e: CNode,
): string[] {
  if (slot === 'setattr' || slot === 'getattr') {
    return attributes(w, slot, args, params, e)
  }
  return fitted(w, args, params, e)
}

/** A path is its dentry in the model; what changes is spelled out. */
function attributes(
  w: Work,
  slot: string,
  args: readonly CNode[],
  params: readonly Param[],
  e: CNode,
): string[] {
  const [, subject] = args
  const path = /^&(\w+)->f_path$/.exec(subject?.text.replace(/\s/g, '') ?? '')?.[1]
  const file = path === undefined ? undefined : w.locals.get(path)
  const dentry =
    file === undefined
      ? sure(value(w, subject as CNode))
      : `${sure(atom(file.ts, file.type))}.fDentry!`
  if (file !== undefined) file.used = true
  if (slot === 'getattr') return [dentry, sure(value(w, args[2] as CNode))]
  const given = [...w.locals.values()]
  const rest = params.slice(1).map((p) => given.find((l) => l.given && l.ts === p.name)?.ts)
  if (rest.some((r) => r === undefined)) throw new Hole('what the iattr has', e)
  return [dentry, ...(rest as string[])]
}

/** What an unknown function is assumed to return: one value, or any of several. */
function assumption(w: Work, name: string, values: readonly string[]): Value {
  w.assumptions.push(name)
  if (values.length === 1) return atom(values[0] as string, NUM)
  const picked = w.keep(`yield choose(${values.length})`)
  const text = values
    .slice(0, -1)
    .reduceRight((rest, v, i) => `${picked} === ${i} ? ${v} : ${rest}`, values.at(-1) as string)
  return { code: text, type: NUM, bind: BIND.choice }
}
