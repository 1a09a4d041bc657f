/**
 * A cell as a comparison needs it: what was found, every outcome, every final state word by word,
 * the marks that were reached, and which functions ran. This is the one place where patches meet
 * the search.
 */

import { expectationFor } from '../app/expect.js'
import { SetupFailure } from '../cell/boot.js'
import { Cell } from '../cell/cell.js'
import type { Listener } from '../cell/execution.js'
import type { Move } from '../cell/schedule.js'
import { WORD, wordTable } from '../cell/words.js'
import type { Design } from '../designs/design.js'
import { replacementsOf } from '../designs/design.js'
import { search } from '../explore/prove/search.js'
import type { Scenario } from '../litmus/scenario.js'
import { ARENA_WORDS, mem, undoMark, writtenSince } from '../machine/arena.js'
import { allBodies, type Body, type FnTag, fn, type Replacement } from '../machine/fn.js'
import { allOpsTables, allStructs, objectAt, type Struct, structNamed } from '../machine/struct.js'

export interface Seen {
  readonly id: string
  readonly message: string
  readonly function: string
  readonly task: string
  readonly first: boolean
  readonly schedule: readonly Move[]
}

/** What a state is: the words right after boot, which all of a cell share, and what is not as then. */
export interface FinalState {
  readonly initial: ReadonlyMap<number, number>
  readonly changed: ReadonlyMap<number, number>
}

function wordOf({ initial, changed }: FinalState, at: number): number {
  return changed.get(at) ?? initial.get(at) ?? 0
}

export interface CellFacts {
  /** Why there is nothing to judge. */
  readonly skipped: string | undefined
  readonly finished: boolean
  readonly states: number
  readonly executions: number
  readonly findings: readonly Seen[]
  readonly outcomes: readonly string[]
  readonly marks: readonly string[]
  /** By a hash of the state. */
  readonly finals: ReadonlyMap<string, FinalState>
}

/** Search a cell to its end, or until `keepGoing` says no. */
export function judgeCell(
  scenario: Scenario,
  design: Design,
  keepGoing: (states: number) => boolean = () => true,
): CellFacts {
  const row = expectationFor(scenario, design)
  if (row?.outcome === 'skip') return nothing(row.why)
  const cell = new Cell(scenario, design)
  try {
    cell.boot('lowered')
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error
    cell.judges.detach()
    return nothing(error.message)
  }
  const finals = new Finals()
  const result = search(cell.judges, {
    bound: undefined,
    keepGoing: (states) => keepGoing(states),
    listeners: [cell.outcomes, finals],
  })
  cell.judges.detach()
  const findings = [...result.witnesses.values()].map(
    ({ id, message, task, first, schedule, function: where }): Seen => ({
      ...{ id, message, task, first, schedule },
      function: where,
    }),
  )
  return {
    skipped: undefined,
    finished: result.finished,
    states: result.states,
    executions: result.executions,
    findings,
    outcomes: [...cell.outcomes.all.keys()].sort(),
    // What runs in a set-up alone has run, too.
    marks: [...new Set([...cell.judges.marksOfSetUp, ...cell.judges.marks])],
    finals: finals.all,
  }
}

/** A cell that came to no end, and why. */
export function stopped(why: string): CellFacts {
  return { ...nothing(why), finished: false }
}

function nothing(why: string): CellFacts {
  return {
    ...{ skipped: why, finished: true, states: 0, executions: 0 },
    ...{ findings: [], outcomes: [], marks: [], finals: new Map() },
  }
}

/** What a cell found, without where: the ids. */
export function findingIds(facts: CellFacts): string[] {
  return facts.findings.map((f) => f.id).sort()
}

// ---- Final states ------------------------------------------------------------------------------------

function mix(at: number, value: number, salt: number): number {
  let h = Math.imul(at ^ salt, 0x9e3779b1) + Math.imul(value ^ (value >>> 16), 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39)
  return (h ^ (h >>> 15)) >>> 0
}

/**
 * All final states from the present one on. A state is every word of it that is no stack and belongs
 * to the fingerprint; tables of operations count by name, since their numbers are those of loading.
 */
class Finals implements Listener {
  readonly all = new Map<string, FinalState>()
  readonly #root = undoMark()
  readonly #kinds = wordKinds()
  readonly #initial = new Map<number, number>()
  readonly #hash: readonly [number, number]

  constructor() {
    const kinds = this.#kinds
    let [a, b] = [0, 0]
    // Most of the arena is empty: the loop over it is all that there is to a small cell.
    for (let at = 1; at < ARENA_WORDS; at++) {
      if (mem[at] === 0 || kinds[at] === LEFT_OUT) continue
      const value = this.#valueOf(at)
      this.#initial.set(at, value)
      a = (a + mix(at, value, SALT_A)) % 2 ** 32
      b = (b + mix(at, value, SALT_B)) % 2 ** 32
    }
    this.#hash = [a, b]
  }

  #valueOf(at: number): number {
    const value = mem[at] as number
    return value !== 0 && this.#kinds[at] === TABLE ? tableName(value) : value
  }

  atFinal(): void {
    let [a, b] = this.#hash
    const changed = new Map<number, number>()
    const swap = (at: number, value: number, sign: number): void => {
      if (value === 0) return
      a = (a + sign * mix(at, value, SALT_A) + 2 ** 32) % 2 ** 32
      b = (b + sign * mix(at, value, SALT_B) + 2 ** 32) % 2 ** 32
    }
    for (const at of new Set(writtenSince(this.#root))) {
      if (this.#kinds[at] === LEFT_OUT) continue
      const was = this.#initial.get(at) ?? 0
      const now = this.#valueOf(at)
      if (was === now) continue
      swap(at, was, -1)
      swap(at, now, 1)
      changed.set(at, now)
    }
    const key = `${a}.${b}`
    if (!this.all.has(key)) this.all.set(key, { initial: this.#initial, changed })
  }
}

const SALT_A = 0x5bd1e995
const SALT_B = 0x1b873593

function tableName(number: number): number {
  const { name } = allOpsTables()[number - 1] as { name?: string }
  let hash = 0
  for (const c of name ?? '') hash = (Math.imul(hash, 31) + c.charCodeAt(0)) | 0
  return hash
}

/** A word of a stack, and one that holds the number of a table of operations. */
const [LEFT_OUT, TABLE] = [1, 2]

let known: { readonly structs: number; readonly kinds: Uint8Array } | undefined

/** What each word is to a final state; built again if a design has brought structs of its own. */
function wordKinds(): Uint8Array {
  if (known?.structs === allStructs().length) return known.kinds
  const kinds = wordTable().kind.map((k) => ((k & WORD.FRAME) !== 0 ? LEFT_OUT : 0))
  const visit = (struct: Struct<never>, base: number): void => {
    for (const { offset, field } of struct.fields.values()) {
      if (field.kind === 'ops') kinds[base + offset] = TABLE
      if (field.kind === 'embed' && field.target !== undefined) {
        visit(structNamed(field.target) as Struct<never>, base + offset)
      }
    }
  }
  for (const s of allStructs()) {
    for (let i = 0; i < s.capacity; i++) visit(s as Struct<never>, s.base + i * s.words)
  }
  known = { structs: allStructs().length, kinds }
  return kinds
}

/** What a word of the arena is: `kvm 0.mmuInvalidateSeq`. */
export function wordName(at: number): string {
  const owner = objectAt(at)
  if (owner === undefined) return `word ${at}`
  let { struct, base } = owner as { struct: Struct<never>; base: number }
  let name = `${struct.cName} ${(base - struct.base) / struct.words}`
  for (;;) {
    const field = [...struct.fields.values()].find(
      (f) => at >= base + f.offset && at < base + f.offset + f.field.words,
    )
    if (field === undefined) return name
    name += `.${field.name}`
    if (field.field.kind !== 'embed' || field.field.target === undefined) return name
    base += field.offset
    struct = structNamed(field.field.target) as Struct<never>
  }
}

// ---- Comparison -------------------------------------------------------------------------------------

/** How two designs differ on a scenario; undefined if they do not. */
export interface Difference {
  /** What kind of thing differs first. */
  readonly what: 'set-up' | 'findings' | 'outcomes' | 'final states' | 'unfinished'
  readonly detail: string
}

export function difference(a: CellFacts, b: CellFacts): Difference | undefined {
  if (!a.finished || !b.finished) {
    return { what: 'unfinished', detail: b.skipped ?? a.skipped ?? 'a limit was hit' }
  }
  if (a.skipped !== b.skipped) return { what: 'set-up', detail: b.skipped ?? 'it succeeds' }
  const findings = apart(findingIds(a), findingIds(b))
  if (findings !== '') return { what: 'findings', detail: findings }
  const outcomes = apart(a.outcomes, b.outcomes)
  if (outcomes !== '') return { what: 'outcomes', detail: outcomes }
  const lost = [...a.finals.keys()].filter((k) => !b.finals.has(k))
  const extra = [...b.finals.keys()].filter((k) => !a.finals.has(k))
  if (lost.length + extra.length === 0) return undefined
  const where = wordsApart(
    lost.map((k) => a.finals.get(k)),
    extra.map((k) => b.finals.get(k)),
  )
  const count = `${lost.length} of ${a.finals.size} gone, ${extra.length} new`
  return { what: 'final states', detail: where === '' ? count : `${count}: ${where}` }
}

function apart(a: readonly string[], b: readonly string[]): string {
  const gone = a.filter((x) => !b.includes(x)).map((x) => `-${x}`)
  const come = b.filter((x) => !a.includes(x)).map((x) => `+${x}`)
  return [...gone, ...come].slice(0, 3).join(' ')
}

/** The fewest words in which a lost state and a new one differ. */
function wordsApart(
  lost: readonly (FinalState | undefined)[],
  extra: readonly (FinalState | undefined)[],
): string {
  const [a] = lost
  if (a === undefined) return ''
  let best: number[] | undefined
  for (const b of extra.slice(0, 50)) {
    if (b === undefined) continue
    const some = [a.initial, b.initial, a.changed, b.changed].flatMap((m) => [...m.keys()])
    const words = [...new Set(some)].filter((at) => wordOf(a, at) !== wordOf(b, at))
    if (best === undefined || words.length < best.length) best = words
  }
  return (best ?? []).slice(0, 4).map(wordName).join(', ')
}

// ---- What ran ------------------------------------------------------------------------------------------

/**
 * The design with a probe in each of its functions, and the places of the bodies that have run since.
 * A probe changes nothing but who is told.
 */
export function withProbes(
  design: Design,
  probes: Map<number, FnTag>,
): { design: Design; ran: ReadonlySet<string> } {
  probeLog.clear()
  const active = new Map<number, number>()
  for (const { of, by } of replacementsOf(design)) active.set(of.id, by.id)
  const bodies = allBodies().slice()
  const replaces = bodies.flatMap((slot): Replacement[] => {
    const body = bodies[active.get(slot.id) ?? slot.id] as Body
    if (madeHere.has(slot.id)) return []
    const probe = probes.get(body.id) ?? probeOf(body)
    probes.set(body.id, probe)
    return [{ of: slot, by: probe }]
  })
  return { design: { ...design, base: design, replaces }, ran: probeLog }
}

/** Probes themselves, which the kernel's table has too. */
const madeHere = new Set<number>()

const probeLog = new Set<string>()

function probeOf(body: Body): FnTag {
  const { direct, lowered, straight, place, cName } = body
  const note = (): void => {
    probeLog.add(place)
  }
  const told =
    <A extends unknown[], R>(f: (...args: A) => R) =>
    (...args: A): R => {
      note()
      return f(...args)
    }
  const probe = fn(
    told(direct),
    lowered && { ...lowered, enter: told(lowered.enter.bind(lowered)) },
    straight && told(straight),
    // Written nowhere: numbers follow places, and no two are alike.
    `${place}, probe of ${body.id}`,
    cName,
  )
  madeHere.add(probe.id)
  return probe
}
