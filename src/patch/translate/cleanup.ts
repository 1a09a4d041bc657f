/**
 * What C undoes by itself when a scope is left: guard(), scoped_guard(), CLASS(), __free(). The model's
 * language has nothing of the kind, so every way out says it: the end of the block, return, break,
 * continue and goto, the innermost scope first.
 */
import type { CNode } from '../c/parse.js'
import { camelCase } from '../model/dictionary.js'
import { modelCall } from './call.js'
import { CLASSES, FREES, GUARDS } from './crosswalk.js'
import { value } from './expression.js'
import { isPointer, pointerTo, structOf } from './types.js'
import { Hole, type Work } from './work.js'

/** Calls that the normaliser makes of these macros. */
const SCOPE_CALL = /^__(?:guard|class|cleanup)$/

/** Does this statement begin a scope that its block ends? */
export function beginsScope(s: CNode): boolean {
  return s.type === 'expression_statement' && SCOPE_CALL.test(calledIn(s)?.text ?? '')
}

function calledIn(s: CNode): CNode | undefined {
  return s.kids[0]?.fields.function
}

/** `__guard(mutex, &m)`: locked from here to the end of the block. */
export function guard(w: Work, e: CNode): void {
  const [kind, object] = (e.fields.arguments as CNode).kids
  const pair = GUARDS[kind?.text ?? '']
  if (pair === undefined) throw new Hole(`a guard of the kind ${kind?.text}`, e)
  const on = object === undefined ? '' : held(w, object)
  w.emit(callOf(w, pair[0], on, e))
  const undo = callOf(w, pair[1], on, e)
  w.cleanups.push(() => w.emit(undo))
}

/** The lock, in a local of the function: a jump may leave the block that it was taken in. */
function held(w: Work, object: CNode): string {
  const v = value(w, object)
  const struct = structOf(v.type)
  if (struct === undefined) throw new Hole(`what ${object.text} is, is not in the model`, object)
  const key = `scope at ${object.start}`
  const local = w.locals.get(key) ?? {
    ...{ ts: w.name('held'), type: pointerTo(struct), given: false, used: true },
  }
  local.used = true
  w.locals.set(key, local)
  w.emit(`${local.ts} = ${v.code}`)
  return `${local.ts}!`
}

/** `__class(fd, f, n)`: a local that is made here, and ended with the block if it is not NULL. */
export function opened(w: Work, e: CNode): void {
  const [kind, name, ...args] = (e.fields.arguments as CNode).kids
  const [make, end, struct] = CLASSES[kind?.text ?? ''] ?? []
  const by = make === undefined ? undefined : w.scope.functionTs(make)
  if (by === undefined || end === undefined || struct === undefined) {
    throw new Hole(`a CLASS() of the kind ${kind?.text}`, e)
  }
  const c = (name as CNode).text
  const made = modelCall(w, by, args, undefined, e)
  const shadowed = w.locals.get(c)
  if (shadowed?.given) throw new Hole(`a CLASS() with the name of a parameter, ${c}`, e)
  const local = shadowed ?? {
    ...{ ts: w.name(camelCase(c)), type: pointerTo(struct), given: false, used: true },
  }
  local.used = true
  w.locals.set(c, local)
  w.emit(`${local.ts} = ${made.code}`)
  w.cleanups.push(() => {
    w.emit(`if (${local.ts} !== null) {`, callOf(w, end, local.ts, e), '}')
  })
}

/** `__cleanup(kfree, p)`: what `p` points to at the end of the block is freed. */
export function freed(w: Work, e: CNode): void {
  const [kind, name] = (e.fields.arguments as CNode).kids
  const by = FREES[kind?.text ?? '']
  if (by === undefined) throw new Hole(`a __free() of the kind ${kind?.text}`, e)
  w.cleanups.push(() => {
    const v = value(w, name as CNode)
    if (!isPointer(v.type)) throw new Hole(`${name?.text} is not in the model`, e)
    w.emit(`if (${v.code} !== null && !isErr(${v.code})) {`, callOf(w, by, v.code, e), '}')
  })
}

function callOf(w: Work, f: string, argument: string, e: CNode): string {
  const found = w.scope.functionTs(f) ?? w.scope.callee(f)
  const kind = found?.kind
  if (kind === undefined) throw new Hole(`${f}() is not in the model`, e)
  if (kind === 'generator' && !w.announces) {
    throw new Hole(`${f}() may be preempted, and the model's function may not`, e)
  }
  return `${kind === 'generator' ? 'yield* ' : ''}${f}(${argument})`
}

/** Undo what has been begun above a depth; it is still there for other ways out. */
export function leave(w: Work, depth: number): void {
  const all = [...w.cleanups]
  for (let at = all.length - 1; at >= depth; at--) {
    // A scope that is left while it is undone is not undone again.
    w.cleanups.length = at
    all[at]?.()
  }
  w.cleanups.length = 0
  w.cleanups.push(...all)
}

/** The end of a block that began with so many scopes open. */
export function endBlock(w: Work, depth: number): void {
  if (w.cleanups.length > depth && !/^(?:return|break|continue|hole)\b/.test(w.out.at(-1) ?? '')) {
    leave(w, depth)
  }
  w.cleanups.length = depth
}
