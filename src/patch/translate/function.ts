/** A whole C function as a kernel function of the model. */
import { type CFunction, functionDeclarator } from '../c/functions.js'
import { type CNode, descendants } from '../c/parse.js'
import { camelCase, type ModelFunction, type Param } from '../model/dictionary.js'
import { STRUCTS } from './crosswalk.js'
import { block } from './statement.js'
import {
  asBits,
  cType,
  declaratorOf,
  declared,
  modelType,
  NULL,
  pointerTo,
  sameKind,
  type Type,
  zeroOf,
} from './types.js'
import { Hole, type HoleNote, type Surroundings, Work } from './work.js'

export interface Translated {
  readonly c: string
  /** The function expression: `function* name(…): Kernel<T> {…}`. */
  readonly text: string
  readonly params: readonly Param[]
  /** Of a new function: which of C's parameters those are. */
  readonly taken: readonly number[]
  readonly returns: string
  readonly holes: readonly HoleNote[]
  readonly dropped: readonly string[]
  readonly assumptions: readonly string[]
}

interface Signature {
  readonly params: readonly { readonly name: string; readonly type: Type }[]
  readonly returns: Type
}

/** What a slot of operations, or a function that is replaced, wants. */
export interface Shape {
  readonly params: readonly Param[]
  readonly returns: string
}

/** Types of locals are learned from what is assigned to them: so many passes are enough. */
const PASSES = 5

/**
 * Translate a function in the place of the model's `target`, with its parameters and its result.
 * `watched`: lines whose statements are marked when they run.
 */
export function translateInPlace(
  around: Surroundings,
  source: CFunction,
  target: ModelFunction,
  watched?: ReadonlySet<number>,
): Translated {
  const { w, shape, prologue } = begin(around, source, target, watched)
  return finish(w, prologue, shape, target.kind === 'generator')
}

/** The function's locals with their types, ready for single statements of it. */
export function workInPlace(around: Surroundings, source: CFunction, target: ModelFunction): Work {
  const { w, shape, prologue } = begin(around, source, target, undefined)
  finish(w, prologue, shape, target.kind === 'generator')
  return w
}

function begin(
  around: Surroundings,
  source: CFunction,
  target: ModelFunction,
  watched: ReadonlySet<number> | undefined,
): { w: Work; shape: Shape; prologue: readonly string[] } {
  const returns = modelType(target.returns, around.scope)
  if (returns === undefined) {
    throw new Hole(`${target.ts}() returns what is not in the model`, source.node)
  }
  const w = new Work(around, source, returns, watched)
  w.target = target
  w.announces = target.kind === 'generator'
  const signature = signatureOf(w, source)
  if (signature.returns.k === 'void' && returns.k !== 'void') {
    throw new Hole(`it returns nothing, and the model's function a ${target.returns}`, source.node)
  }
  const { params, prologue } = pairParameters(w, signature, target)
  if (source.partial === true) nameLocals(w, source, target)
  w.resultByPointer = returns.k === 'ptr' && signature.returns.k === 'num'
  return { w, shape: { params, returns: target.returns }, prologue }
}

/** Names whose declarations no hunk shows are the model's of the same name. */
function nameLocals(w: Work, source: CFunction, target: ModelFunction): void {
  const given = [...w.locals.values()].filter((l) => l.given && l.missing !== true)
  for (const [ts, text] of Object.entries(target.locals ?? {})) {
    const type = modelType(text, w.scope)
    if (type !== undefined) given.push({ ts, type, given: true, used: true })
  }
  for (const { text } of descendants(source.body, 'identifier')) {
    const local = given.find((l) => l.ts === camelCase(text))
    if (local !== undefined && !w.locals.has(text)) w.locals.set(text, local)
  }
}

/** Translate a function that the model does not have; a slot says what it is called with. */
export function translateNew(
  around: Surroundings,
  source: CFunction,
  slot: Shape | undefined,
  watched?: ReadonlySet<number>,
): Translated {
  const first = new Work(around, source, { k: 'void' }, watched)
  const signature = signatureOf(first, source)
  const shape = slot ?? {
    params: signature.params.map((p) => ({
      name: camelCase(p.name),
      type: paramType(p.type, source),
    })),
    returns: paramType(signature.returns, source, true),
  }
  const returns = modelType(shape.returns, around.scope) ?? { k: 'void' }
  const w = new Work(around, source, returns, watched)
  const params = shape.params.map((p, i) => {
    const c = signature.params[i]
    const ts = w.name(camelCase(c?.name ?? p.name))
    const known = modelType(p.type, around.scope) ?? { k: 'foreign', c: p.type }
    const type = known.k === 'num' && c?.type.k === 'num' ? c.type : known
    if (c !== undefined) w.locals.set(c.name, { ts, type, given: true, used: false })
    return { name: ts, type: p.type }
  })
  const made = finish(w, [], { params, returns: shape.returns }, true)
  if (slot !== undefined) return made
  // A parameter that nothing is done with need not be there: the caller may not have it.
  const used = signature.params.map((c) => w.locals.get(c.name)?.used === true)
  const taken = used.flatMap((yes, i) => (yes ? [i] : []))
  const kept = taken.map((i) => params[i] as Param)
  const bad = taken.find((i) => modelType((params[i] as Param).type, around.scope) === undefined)
  if (bad !== undefined) {
    const { name } = params[bad] as Param
    throw new Hole(`${source.name}() takes a ${name} that the model does not have`, source.node)
  }
  return { ...made, text: headed(w, kept, shape.returns, made.text), params: kept, taken }
}

/** The same text with another list of parameters. */
function headed(w: Work, params: readonly Param[], returns: string, text: string): string {
  return `${head(w, params, returns, true)}${text.slice(text.indexOf('\n'))}`
}

function head(w: Work, params: readonly Param[], returns: string, generator: boolean): string {
  const list = params.map((p) => `${p.name}: ${p.type}`).join(', ')
  const result = generator ? `Kernel<${returns}>` : returns
  return `function${generator ? '*' : ''} ${w.source.name}(${list}): ${result} {`
}

/** The model's type for a parameter; one that is used later has to be a real one. */
function paramType(t: Type, source: CFunction, isResult = false): string {
  if (t.k === 'foreign' || t.k === 'out' || t.k === 'list') {
    if (!isResult) return 'unknown'
    throw new Hole(`${source.name}() returns what the model does not have`, source.node)
  }
  return t.k === 'ptr' ? declared(pointerTo(t.struct, !isResult)) : declared(t)
}

function signatureOf(w: Work, source: CFunction): Signature {
  let pointers = 0
  let at = source.node.fields.declarator
  while (at !== undefined && at.type !== 'function_declarator') {
    if (at.type === 'pointer_declarator') pointers++
    at = at.fields.declarator
  }
  const list = functionDeclarator(source.node)?.fields.parameters?.kids ?? []
  const params = list.flatMap((p) => {
    const declarator = p.fields.declarator
    const type = p.fields.type
    if (declarator === undefined || type === undefined) return []
    const d = declaratorOf(declarator)
    return d.name === undefined
      ? []
      : [{ name: d.name, type: cType(type, d.pointers, w.scope, STRUCTS) }]
  })
  return { params, returns: cType(source.node.fields.type as CNode, pointers, w.scope, STRUCTS) }
}

const bare = (name: string): string => name.replace(/^_(?!_)/, '')

/** C's parameters and the model's: by name, then by type; and lines that make the others. */
function pairParameters(
  w: Work,
  signature: Signature,
  target: ModelFunction,
): { params: Param[]; prologue: string[] } {
  const free = new Set(signature.params)
  const pairs = new Map<Param, { name: string; type: Type }>()
  const types = new Map(target.params.map((p) => [p, modelType(p.type, w.scope)]))
  for (const p of target.params) {
    const same = [...free].find((c) => camelCase(c.name) === bare(p.name))
    if (same !== undefined) {
      pairs.set(p, same)
      free.delete(same)
    }
  }
  for (const p of target.params) {
    const t = types.get(p)
    if (pairs.has(p) || t === undefined) continue
    const alike = [...free].filter((c) => sameKind(c.type, t))
    const rivals = target.params.filter((q) => !pairs.has(q) && sameKind(types.get(q) ?? NULL, t))
    if (alike.length > rivals.length) {
      const names = alike.map((c) => c.name).join(' or ')
      throw new Hole(`whether ${names} is the model's ${p.name}`, w.source.node)
    }
    const [like] = alike
    if (like !== undefined) {
      pairs.set(p, like)
      free.delete(like)
    }
  }
  const prologue: string[] = []
  const params = target.params.map((p) => {
    const known = types.get(p) ?? { k: 'foreign', c: p.type }
    const c = pairs.get(p)
    // Of C's is known whether they have a sign.
    const isNumber = known.k === 'big' || known.k === 'num'
    const type = isNumber && c?.type.k === known.k ? c.type : known
    const ts = w.name(bare(p.name))
    w.locals.set(c?.name ?? p.name, { ts, type, given: true, used: true })
    // The model's callers may hand over the word of a request, whose sign is C's to say.
    const own = asBits(ts, type)
    if (own !== ts) prologue.push(`${ts} = ${own}`)
    return { name: ts, type: p.type }
  })
  return { params, prologue: [...prologue, ...[...free].flatMap((c) => leftOver(w, c, target))] }
}

/** A parameter that the model's function does not have. */
function leftOver(w: Work, c: { name: string; type: Type }, target: ModelFunction): string[] {
  const of = (struct: string): string | undefined => {
    const p = target.params.find((x) => x.type === struct)
    return p === undefined ? undefined : bare(p.name)
  }
  const mapping = of('AddressSpace')
  if (c.type.k === 'ptr' && c.type.struct === 'Inode' && mapping !== undefined) {
    const ts = w.name(camelCase(c.name))
    w.locals.set(c.name, { ts, type: pointerTo('Inode'), given: true, used: true })
    return [`const ${ts} = ${mapping}.host`]
  }
  if (c.type.k === 'out') {
    const returned = modelType(target.returns, w.scope)
    const isResult = returned?.k === 'ptr' && c.type.to.k === 'ptr' && sameKind(c.type.to, returned)
    const ts = w.name(camelCase(c.name))
    w.locals.set(
      c.name,
      isResult
        ? { ts, type: pointerTo(returned.struct), given: false, used: true, result: true }
        : { ts, type: c.type, given: true, used: false, dropped: true },
    )
    return []
  }
  w.locals.set(c.name, {
    ts: camelCase(c.name),
    type: c.type,
    given: true,
    used: false,
    missing: true,
  })
  return []
}

/** Pass after pass over the body, until no local's type changes any more. */
function finish(
  w: Work,
  prologue: readonly string[],
  shape: Shape,
  generator: boolean,
): Translated {
  for (let pass = 0; pass < PASSES; pass++) {
    w.restart()
    w.declared.push(new Set(signatureOf(w, w.source).params.map((p) => p.name)))
    block(w, w.source.body)
    if (!w.changed) break
  }
  const locals = [...w.locals.values()]
    .filter((l) => !l.given && l.used && l.type.k !== 'list' && l.type.k !== 'foreign')
    .map((l) => `let ${l.ts}: ${declared(l.type)} = ${zeroOf(l.type)}`)
  const first = head(w, shape.params, shape.returns, generator)
  const tail = fallsThrough(w) ? [`hole('${w.source.name} ends without a result')`] : []
  return {
    c: w.source.name,
    text: indented([first, ...prologue, ...locals, ...w.out, ...tail, '}']),
    params: shape.params,
    taken: shape.params.map((_p, i) => i),
    returns: shape.returns,
    holes: w.holes,
    dropped: w.dropped,
    assumptions: w.assumptions,
  }
}

/** The compiler cannot see that a function ends with a return behind labels. */
function fallsThrough(w: Work): boolean {
  return w.returns.k !== 'void' && !/^return\b/.test(w.out.at(-1) ?? '')
}

/** Lines as text; braces give the depth. */
export function indented(lines: readonly string[]): string {
  let depth = 0
  return lines
    .map((line) => {
      if (line.startsWith('}')) depth--
      const text = '  '.repeat(Math.max(0, depth)) + line
      if (line.endsWith('{')) depth++
      return text
    })
    .join('\n')
}
