/**
 * When may two steps of two tasks change places? A footprint says what a step touches, as places
 * with a mode each; two steps depend on each other if they touch one place in modes that a rule
 * names, or if one of them ends the execution. The rules are a table, so that a test can take one
 * away and show that it is missed.
 */

/** What a step does to a place. One step may do several things to one place. */
export const MODE = {
  /** A field is read or written by kernel code. */
  READ: 1,
  WRITE: 2,
  /** The announced wait, or lock, looks at the field: its value decides who can step. */
  WAIT: 4,
  /** A sanitizer reads the field, judging the state right after the step. */
  JUDGE: 8,
  /** An object must be there for the access; or it comes to life or is freed. */
  USE: 16,
  LIFE: 32,
  /** A slot is taken from a task's pool, or given back to it. */
  DRAW: 64,
  GIVE: 128,
  /** A sanitizer walks over all objects of a struct; or one more or less is there. */
  COUNT: 256,
  CENSUS: 512,
} as const

/** Places and modes, and whether the execution ended with the step. */
export interface Footprint {
  readonly modes: ReadonlyMap<number, number>
  /** Undefined behaviour: nothing comes after it, so it goes with no step of another task. */
  readonly halts: boolean
}

/** Two modes that make two steps dependent, in either order. */
export interface Rule {
  readonly name: string
  readonly one: number
  readonly other: number
}

const { READ, WRITE, WAIT, JUDGE, USE, LIFE, DRAW, GIVE, COUNT, CENSUS } = MODE

export const RULES: readonly Rule[] = [
  { name: 'read-write', one: READ, other: WRITE },
  { name: 'write-write', one: WRITE, other: WRITE },
  { name: 'wait-write', one: WAIT, other: WRITE },
  { name: 'judge-write', one: JUDGE, other: WRITE },
  { name: 'use-life', one: USE, other: LIFE },
  { name: 'draw-give', one: DRAW, other: GIVE },
  { name: 'count-census', one: COUNT, other: CENSUS },
]

/** Rules that are no pair of modes: what the search does besides comparing footprints. */
export const SEARCH_RULES = ['halt', 'blocked', 'enabling', 'learning'] as const
export type SearchRule = (typeof SEARCH_RULES)[number]

/** The dependence that a set of rules gives. */
export class Dependence {
  /** By bit of a mode: the modes that conflict with it. */
  readonly #against: number[] = []
  readonly #without: string | undefined

  /** All rules, or all but one: for the test that each is needed. */
  constructor(without?: string) {
    this.#without = without
    for (let bit = 0; bit < 32; bit++) this.#against.push(0)
    for (const { name, one, other } of RULES) {
      if (name === without) continue
      this.#add(one, other)
      this.#add(other, one)
    }
  }

  #add(mode: number, against: number): void {
    const bit = 31 - Math.clz32(mode)
    this.#against[bit] = (this.#against[bit] as number) | against
  }

  /** Does the search follow this rule? */
  follows(rule: SearchRule): boolean {
    return rule !== this.#without
  }

  /** The modes that conflict with one of these. */
  against(modes: number): number {
    let against = 0
    for (let rest = modes; rest !== 0; rest &= rest - 1) {
      against |= this.#against[31 - Math.clz32(rest & -rest)] as number
    }
    return against
  }

  /** Do two sets of modes at one place conflict? */
  conflict(one: number, other: number): boolean {
    return (this.against(one) & other) !== 0
  }

  /** Did a step look at something that an earlier one had changed? */
  learns(later: Footprint, earlier: Footprint): boolean {
    for (const [place, modes] of later.modes) {
      const looked = modes & (READ | JUDGE | USE | DRAW | COUNT)
      const there = earlier.modes.get(place)
      if (looked !== 0 && there !== undefined && this.conflict(looked, there)) return true
    }
    return false
  }

  /** Are two steps of two tasks dependent? */
  dependent(one: Footprint, other: Footprint): boolean {
    if (this.follows('halt') && (one.halts || other.halts)) return true
    const [few, many] = one.modes.size < other.modes.size ? [one, other] : [other, one]
    for (const [place, modes] of few.modes) {
      const there = many.modes.get(place)
      if (there !== undefined && this.conflict(modes, there)) return true
    }
    return false
  }
}
