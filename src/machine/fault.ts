/**
 * What can go wrong with the kernel under test. A finding is about the modelled kernel; an
 * exception that is not a `KernelFault` is a bug in restrictedmem.
 *
 * `oops`: the kernel would kill the thread and go on. The thread dies with its locks held, and
 * the state behind it is defined, so the search continues.
 * `undefined`: memory was used in a way that has no defined outcome. The path ends there.
 */
export type FaultKind = 'oops' | 'undefined'

/**
 * What a finding speaks of, as data. Its message says the same to people; a report that wants an
 * object or a number takes it from here. Plain: it can be stored and sent.
 */
export interface Facts {
  /** Objects as `objectName` names them, and as a trace does: the one that it is about first. */
  readonly about: readonly string[]
  /** Numbers by name: `gfn`, `pfn`, `references`. */
  readonly values: Readonly<Record<string, number>>
  /** Of a deadlock: which tasks wait, each for what and who has that. */
  readonly waits?: readonly Wait[]
}

/** A task that waits for ever. */
export interface Wait {
  readonly task: string
  /** A class of locks, or a field of an object. */
  readonly for: string
  readonly heldBy: readonly string[]
}

/** A finding that speaks of nothing in particular. */
export const NO_FACTS: Facts = { about: [], values: {} }

export class KernelFault extends Error {
  /** Stable id of the finding, e.g. `use-after-free`. */
  readonly id: string
  readonly kind: FaultKind
  readonly facts: Facts

  constructor(id: string, kind: FaultKind, message: string, facts = NO_FACTS) {
    super(message)
    this.id = id
    this.kind = kind
    this.facts = facts
  }
}

/**
 * More is asked for than this machine has room for, or can say in its words. It is neither an
 * answer of the kernel's nor a finding: the message says which limit of ours was met.
 */
export class LimitError extends Error {}

/** BUG(): the thread dies here. */
export function bug(why: string): never {
  throw new KernelFault('kernel-bug', 'oops', why)
}

export function bugOn(condition: boolean, why: string): void {
  if (condition) bug(why)
}

/** A store of the kernel's to memory that the processor keeps from it: the thread dies here. */
export function storeFault(why: string, facts: Facts): never {
  throw new KernelFault('host-write-fault', 'oops', why, facts)
}

/** The same of a load, where memory is not encrypted but taken away. */
export function loadFault(why: string, facts: Facts): never {
  throw new KernelFault('host-read-fault', 'oops', why, facts)
}

/** The kernel accesses memory behind the end of what it has: whose that is, nobody knows. */
export function outOfBounds(why: string, facts: Facts): never {
  throw new KernelFault('out-of-bounds', 'undefined', why, facts)
}

/** What is under the kernel has met what must not be, and knows no way on: the machine stops. */
export function hypervisorPanic(why: string): never {
  throw new KernelFault('hypervisor-panic', 'undefined', why)
}

/** A finding that does not stop the thread which ran into it. */
export interface Remark {
  readonly id: string
  readonly message: string
  readonly facts: Facts
}

let remarks: Remark[] = []

/** Record a finding and go on, like a WARN or a report of lockdep. */
export function remark(id: string, message: string, facts = NO_FACTS): void {
  remarks.push({ id, message, facts })
}

/** WARN_ON(): reports, then continues; returns the condition as the kernel's macro does. */
export function warnOn(condition: boolean, why: string): boolean {
  if (condition) remark('kernel-warning', why)
  return condition
}

/** The findings recorded since the last call. */
export function takeRemarks(): Remark[] {
  if (remarks.length === 0) return remarks
  const taken = remarks
  remarks = []
  return taken
}

/** Who listens at a tracepoint: judges and reports, never the kernel. */
export type TraceListener = (name: string, args: readonly unknown[]) => void

let listener: TraceListener | undefined

export function setTraceListener(next: TraceListener | undefined): void {
  listener = next
}

/** A tracepoint: tells who listens what happens here, with the objects concerned. No state. */
export function tracepoint(name: string, ...args: unknown[]): void {
  if (listener === undefined) return
  telling = true
  try {
    listener(name, args)
  } finally {
    telling = false
  }
}

let telling = false

/** Who listens at a tracepoint is at work: what is read now, the kernel does not read. */
export function isTelling(): boolean {
  return telling
}

const reached = new Set<string>()
const NO_MARKS: readonly string[] = []

/**
 * A reach mark: names a point that a scenario may demand to be reached by some execution.
 * Never a scheduling point and no part of the state.
 */
export function mark(name: string): void {
  reached.add(name)
}

/** Names of the marks reached since the last call. */
export function takeMarks(): readonly string[] {
  if (reached.size === 0) return NO_MARKS
  const names = [...reached]
  reached.clear()
  return names
}

/** What the engines say when a property of null is asked for; the group is the property. */
const OF_NULL: readonly RegExp[] = [
  // V8: Cannot read properties of null (reading 'pfn')
  /^Cannot (?:read|set) propert(?:y|ies) of null(?: \((?:reading|setting) '(.+)'\))?$/,
  // SpiderMonkey: can't access property "pfn", folio is null; folio is null
  /^can't access property "(.+)",? .*\bnull\b/,
  /^.* is null$/,
  // JavaScriptCore: null is not an object (evaluating 'folio.pfn')
  /^null is not an object(?: \(evaluating '(?:.*\.)?([\w$]+).*'\))?$/,
]

/**
 * JavaScript's own error for a property of null is the kernel's NULL dereference: `null` is used
 * for nothing else in this project (our own code says `undefined`). The text is the same on every
 * engine.
 */
export function asNullDereference(error: unknown): KernelFault | undefined {
  if (!(error instanceof TypeError)) return undefined
  const match = OF_NULL.map((r) => r.exec(error.message)).find((m) => m !== null)
  if (match === undefined) return undefined
  const field = match[1] ?? 'a field'
  return new KernelFault('null-dereference', 'oops', `NULL pointer dereference, field ${field}`)
}
