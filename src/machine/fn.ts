/**
 * Kernel functions. `fn(function* shmem_get_folio(…) {…})` makes a function that any design can
 * replace: a call goes through a table, so nobody who calls it knows. The inner name is the C
 * spelling, which reports print; the constant that holds it has the camelCase one.
 *
 * A generator may be preempted where it yields. A plain function runs to completion.
 */
import type { Effect } from './effects.js'
import { inOrder } from './order.js'

/** What a preemptible kernel function returns; call it with `yield*`. */
export type Kernel<R> = Generator<Effect, R, number>

/** A kernel function's step function after lowering; see `frames.ts` for the protocol. */
export interface Lowered {
  /** Words of a frame: header, parameters, and locals that live across a yield. */
  readonly words: number
  /** Where each yield stands, by program counter: line and the effect as written. */
  readonly sites: Readonly<Record<number, Site>>
  /** Put the arguments of a call into a new frame. */
  enter(fp: number, args: readonly unknown[]): void
  /** Run from `pc` to the next yield, call or return. */
  step(fp: number, pc: number, value: unknown): number
}

export interface Site {
  readonly line: number
  readonly text: string
}

/** What the table holds for one kernel function. */
export interface Body {
  readonly id: number
  /** Its number in frames; 0 until a machine has booted. */
  number: number
  readonly cName: string
  // biome-ignore lint/suspicious/noExplicitAny: the table holds functions of every type
  readonly direct: (...args: any[]) => unknown
  readonly lowered: Lowered | undefined
  /** The same without a yield, for a task that is alone in the machine. */
  // biome-ignore lint/suspicious/noExplicitAny: the table holds functions of every type
  readonly straight: ((...args: any[]) => unknown) | undefined
  /** Where the function is written: file and offset of its first character. */
  readonly place: string
}

/** Marks a function that lives in the table. */
export interface FnTag {
  readonly id: number
  readonly cName: string
}

/** A slot of an ops table: a preemptible kernel function, or NULL. */
export type Op<A extends unknown[], R> = ((...args: A) => Kernel<R>) & FnTag

const bodies: Body[] = []
let active: Body[] = []

/**
 * Declare a kernel function. The arguments behind the first are put there by the lowering; the name
 * is one of them, since who bundles or shortens the text may change what the function calls itself.
 */
// biome-ignore lint/suspicious/noExplicitAny: any function can be a kernel function
export function fn<F extends (...args: any[]) => any>(
  body: F,
  lowered?: Lowered,
  straight?: Body['straight'],
  place = '',
  cName = '',
): F & FnTag {
  if (cName === '') throw new Error('a kernel function has not been through the lowering')
  const id = bodies.length
  const entry: Body = { id, number: 0, cName, direct: body, lowered, straight, place }
  bodies.push(entry)
  active.push(entry)
  const dispatch = (...args: unknown[]): unknown => (active[id] as Body).direct(...args)
  return Object.assign(dispatch, { id, cName }) as unknown as F & FnTag
}

/** One replaced function: calls of `of` run `by`. */
export interface Replacement {
  readonly of: FnTag
  readonly by: FnTag
}

/** One slot of a table of operations that holds another function; undefined for none. */
export interface SlotReplacement {
  readonly table: object
  readonly slot: string
  readonly by: FnTag | undefined
}

/** What `original()` made, in the order of declaration. */
interface Original {
  readonly id: number
  /** The function that it is of. */
  readonly of: number
  /** Where it is written, as in `Body.place`. */
  readonly place: string
}

const originals: Original[] = []

function fileOf(place: string): string {
  return place.slice(0, place.lastIndexOf(':'))
}

/**
 * Make the kernel that these replacements describe the active one; later ones win. The originals
 * in the file of a replacement are what was there before it.
 */
export function activate(
  replacements: readonly Replacement[],
  slots: readonly SlotReplacement[] = [],
): void {
  active = bodies.slice()
  for (const { of, by } of replacements) {
    const file = fileOf((bodies[by.id] as Body).place)
    for (const o of originals) {
      if (o.of === of.id && fileOf(o.place) === file) active[o.id] = active[of.id] as Body
    }
    active[of.id] = bodies[by.id] as Body
  }
  for (const before of slotsBefore.splice(0).reverse()) fill(before)
  for (const { table, slot, by } of slots) {
    slotsBefore.push({ table, slot, by: (table as Slots)[slot] })
    fill({ table, slot, by })
  }
}

type Slots = Record<string, FnTag | undefined>

/** What the tables had that the active kernel has filled otherwise. */
const slotsBefore: SlotReplacement[] = []

function fill({ table, slot, by }: SlotReplacement): void {
  if (by === undefined) delete (table as Slots)[slot]
  else (table as Slots)[slot] = by
}

/** Declare a replacement; the types make sure that the patched function fits. */
export function replace<F extends FnTag>(of: F, by: NoInfer<F>): Replacement {
  return { of, by }
}

/** Declare what one table of operations has in a slot; other tables keep theirs. */
export function replaceSlot<T extends object, K extends keyof T & string>(
  table: T,
  slot: K,
  by: NoInfer<T[K]> & (FnTag | undefined),
): SlotReplacement {
  return { table, slot, by }
}

/**
 * The function as it was before this file's design replaced it, by whatever its base had put there:
 * what a replacement calls when it wants to add to the function and not to repeat it. For who does
 * not replace it, it is as its own file has it. The second argument is put there by the lowering.
 */
export function original<F extends FnTag>(f: F, at = ''): F {
  const { direct, lowered, straight, place, cName } = bodies[f.id] as Body
  const tag = fn(direct as never, lowered, straight, place, cName) as F
  originals.push({ id: tag.id, of: f.id, place: at })
  return tag
}

/** The function that `original()` made at a place. */
export function originalAt(place: string): FnTag | undefined {
  const found = originals.find((o) => o.place === place)
  return found && { id: found.id, cName: (bodies[found.id] as Body).cName }
}

/** The body that runs when the function `f` is called. */
export function bodyOf(f: FnTag): Body {
  if (f === null || f === undefined || typeof f.id !== 'number') {
    throw new TypeError("Cannot read properties of null (calling a function pointer 'ops')")
  }
  return active[f.id] as Body
}

const byNumber: Body[] = []

/**
 * Number the functions declared since the last call, in the order of names and places: what frames
 * say does not depend on the order of imports. A machine that boots calls this.
 */
export function numberFunctions(): void {
  // An original is what it is of, but for where it was asked for.
  const askedAt = new Map(originals.map((o) => [o.id, o.place]))
  const fresh = inOrder(
    bodies.slice(byNumber.length),
    (b) => `${b.cName} ${b.place} ${askedAt.get(b.id) ?? ''}`,
  )
  for (const body of fresh) body.number = byNumber.push(body)
}

/** The body with a number, as frames store it. */
export function bodyNumber(number: number): Body {
  return byNumber[number - 1] as Body
}

/** All declared functions, in order of declaration. */
export function allBodies(): readonly Body[] {
  return bodies
}
