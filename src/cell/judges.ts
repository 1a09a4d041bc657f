/**
 * The bench of judges during a search: hooks the sanitizers into the machine, runs the checks
 * whose fields a step has written, and keeps the findings apart into those that come first on an
 * execution and those that only follow another one.
 *
 * Whether an execution has already gone wrong is part of the state (`Verdictbit.tainted`), so
 * that a state reached both ways is judged both ways.
 */
import { undoMark } from '../machine/arena.js'
import { type Facts, LimitError, NO_FACTS, setTraceListener, takeMarks } from '../machine/fault.js'
import type { StepResult } from '../machine/machine.js'
import { hasDied, taskCount } from '../machine/machine.js'
import {
  constructAt,
  flag,
  type Obj,
  type Struct,
  struct,
  unwatchAll,
  watch,
} from '../machine/struct.js'
import { setLockTap } from '../machine/task.js'
import type { Context, Sanitizer } from '../sanitizers/sanitizer.js'
import { Acquitted, type Check } from './acquitted.js'

interface VerdictBit extends Obj {
  /** Some finding has occurred on the way to this state. */
  tainted: boolean
}

const VerdictBit: Struct<VerdictBit> = struct<VerdictBit>(
  'VerdictBit',
  { tainted: flag() },
  { capacity: 1, role: 'judge' },
)

/** One finding of one step. */
export interface Observed {
  readonly id: string
  readonly message: string
  /** What it speaks of, as data. */
  readonly facts: Facts
  /** Nothing had gone wrong before it on this execution. */
  readonly first: boolean
}

/** Texts of the conditions of a scenario that the present state, at rest, violates. */
export type Conditions = () => readonly string[]

type Reported = Omit<Observed, 'first'>

/** Bits of a word, which says who has to look at a state. */
export const MAX_JUDGES = 31

/** Who judges the machine of this thread. */
let attached: Judges | undefined

export class Judges {
  readonly #sanitizers: readonly Sanitizer[]
  readonly #conditions: Conditions
  readonly #marks = new Set<string>()
  /** Reach marks of the set-up alone. */
  marksOfSetUp: readonly string[] = []
  #pending: Reported[] = []
  #ofSetUp: Observed[] = []
  #acquitted = new Acquitted(0)
  #remembers = false
  readonly #context: Context
  /**
   * Bits of the sanitizers whose state checks read more than what they watch: what such a check
   * says of a state depends on the step that led to it.
   */
  readonly ofSteps: number

  constructor(sanitizers: readonly Sanitizer[], conditions: Conditions = () => []) {
    if (sanitizers.length > MAX_JUDGES) {
      throw new LimitError(`a machine has room for ${MAX_JUDGES} judges`)
    }
    this.#sanitizers = sanitizers
    this.#conditions = conditions
    this.ofSteps = sanitizers.reduce((bits, s, i) => (s.ofStates ? bits : bits | (1 << i)), 0)
    const pending = (): Reported[] => this.#pending
    this.#context = {
      report: (id, message, facts) => {
        pending().push({ id, message, facts })
      },
      get crashed() {
        return anybodyDied()
      },
    }
  }

  /**
   * Attach to the machine whose kernel has just booted; who was attached before is not any more.
   */
  attach(): void {
    attached = this
    unwatchAll()
    this.#sanitizers.forEach((s, i) => {
      if (s.watches !== undefined) watch(1 << i, s.watches)
    })
    const listeners = this.#sanitizers.filter((s) => s.event !== undefined)
    setTraceListener((name, args) => {
      for (const s of listeners) s.event?.(name, args, this.#context)
    })
    setLockTap({
      acquired: (task, lockClass, _addr, trylock) => {
        for (const s of this.#sanitizers) s.acquired?.(task, lockClass, trylock, this.#context)
      },
      mightSleep: (task, where) => {
        for (const s of this.#sanitizers) s.mightSleep?.(task, where, this.#context)
      },
    })
    for (const s of this.#sanitizers) s.booted?.()
    this.#acquitted = new Acquitted(this.#sanitizers.length)
    this.#remembers = false
    constructAt(VerdictBit as unknown as Struct<Obj>, VerdictBit.base, 0)
    this.#pending = []
    this.#ofSetUp = []
    takeMarks()
  }

  /** The set-up is judged as every execution is, and what it shows, every execution shows. */
  afterStepOfSetUp(result: StepResult): void {
    const seen = (id: string): boolean => this.#ofSetUp.some((o) => o.id === id)
    for (const o of this.afterStep(result)) if (!seen(o.id)) this.#ofSetUp.push(o)
  }

  /** May judges be left in peace about words of which they have said nothing before? */
  remember(remembers: boolean): void {
    this.#remembers = remembers
  }

  /** Most bytes for remembering it. */
  limit(bytes: number): void {
    this.#acquitted.limit(bytes)
  }

  /** What is remembered. */
  get bytes(): number {
    return this.#acquitted.bytes
  }

  /** The set-up has ended: the marks that it has reached are no execution's. */
  begin(): void {
    this.marksOfSetUp = [...this.#marks]
    this.#marks.clear()
  }

  /** What the set-up has shown. */
  get ofSetUp(): readonly Observed[] {
    return this.#ofSetUp
  }

  /** The machine goes on without these judges. If others sit there by now, they stay. */
  detach(): void {
    if (attached !== this) return
    attached = undefined
    setTraceListener(undefined)
    setLockTap(undefined)
    unwatchAll()
  }

  /** Judge what a step did and the state it led to. */
  afterStep(result: StepResult): readonly Observed[] {
    for (const m of takeMarks()) this.#marks.add(m)
    const { fault } = result
    if (fault !== undefined) this.#context.report(fault.id, fault.message, fault.facts)
    for (const r of result.remarks) this.#context.report(r.id, r.message, r.facts)
    // After undefined behaviour the state means nothing.
    return this.afterRepeat(fault?.kind === 'undefined' ? 0 : result.dirty)
  }

  /** Judge the state after a step that has not run: it did what it did before, without a report. */
  afterRepeat(dirty: number): readonly Observed[] {
    if (dirty !== 0) {
      for (let i = 0; i < this.#sanitizers.length; i++) {
        if (dirty & (1 << i)) this.#ask(i, 'state')
      }
    }
    return this.#collect()
  }

  /** Ask one of the sanitizers, if it is not known to have nothing to say. */
  #ask(i: number, check: Check): void {
    const sanitizer = this.#sanitizers[i] as Sanitizer
    if (sanitizer[check] === undefined) return
    const known = this.#acquitted
    if (!this.#remembers) this.#judge(sanitizer, check)
    else if (known.has(i, check)) return
    else if (known.isFull) this.#judge(sanitizer, check)
    else {
      const before = this.#pending.length
      known.listen()
      this.#judge(sanitizer, check)
      known.heard(i, check, this.#pending.length === before)
    }
  }

  /** A check that is left out where it has nothing to say may write nothing. */
  #judge(sanitizer: Sanitizer, check: Check): void {
    const before = undoMark()
    sanitizer[check]?.(this.#context)
    if (undoMark() === before) return
    throw new Error(`${sanitizer.name} writes where it judges a state (${check}): only events may`)
  }

  #askAll(check: Check): void {
    for (let i = 0; i < this.#sanitizers.length; i++) this.#ask(i, check)
  }

  /** Judge a state in which every task of the scenario has ended. */
  atRest(): readonly Observed[] {
    this.#askAll('atRest')
    const observed = [...this.#collect()]
    for (const text of this.#conditions()) {
      observed.push(...this.bySearch('condition-violated', text))
    }
    return observed
  }

  /** Judge the state after teardown. */
  atEnd(): readonly Observed[] {
    this.#askAll('atEnd')
    return this.#collect()
  }

  /** Report something that the search itself has seen, such as a deadlock. */
  bySearch(id: string, message: string, facts = NO_FACTS): readonly Observed[] {
    this.#context.report(id, message, facts)
    return this.#collect()
  }

  /** Tasks are stuck: report it, after what the sanitizers say is the reason. */
  stuck(id: string, message: string, facts = NO_FACTS): readonly Observed[] {
    for (const s of this.#sanitizers) s.stuck?.(id, this.#context)
    this.#context.report(id, message, facts)
    return this.#collect()
  }

  /** Do these judges see what the machine does? */
  get areAttached(): boolean {
    return attached === this
  }

  /** Reach marks seen so far. */
  get marks(): ReadonlySet<string> {
    return this.#marks
  }

  /** Marks that an earlier part of the search has seen. */
  addMarks(names: readonly string[]): void {
    for (const n of names) this.#marks.add(n)
  }

  #collect(): readonly Observed[] {
    if (this.#pending.length === 0) return NOTHING
    const found = this.#pending
    this.#pending = []
    const bit = VerdictBit.at(VerdictBit.base) as VerdictBit
    const first = !bit.tainted
    if (first) bit.tainted = true
    const seen = new Set<string>()
    const observed: Observed[] = []
    for (const reported of found) {
      if (seen.has(reported.id)) continue
      seen.add(reported.id)
      observed.push({ ...reported, first })
    }
    return observed
  }
}

const NOTHING: readonly Observed[] = []

function anybodyDied(): boolean {
  for (let n = 0; n < taskCount(); n++) if (hasDied(n)) return true
  return false
}
