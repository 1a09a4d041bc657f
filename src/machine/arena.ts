/**
 * The arena: every word of machine state that can differ between two states lies in one
 * Int32Array. A write keeps a 64-bit fingerprint of the whole arena up to date and records the
 * old value, so that a search can step back; both cost the same however large the arena is.
 *
 * Word 0 and the words up to `FIRST_WORD` are never handed out: address 0 is the kernel's NULL.
 */

/** Index of a word in the arena. */
export type Addr = number & { readonly __addr: never }

/** Words in the arena. Addresses must fit the 21 bits that an effect has for them. */
export const ARENA_WORDS = 1 << 21
export const FIRST_WORD = 64

/** What a field holds between kmalloc and the first write to it. */
export const UNINITIALISED = -0x80000000

export const mem = new Int32Array(ARENA_WORDS)

let lo = 0
let hi = 0
let undoLog = new Int32Array(1 << 16)
let undoTop = 0
let highWater = FIRST_WORD
/** Bits of the sanitizers that read a word which was written since the last `takeDirty`. */
let dirty = 0

/** Whether writes keep the fingerprint up to date. */
let hashing = true

/**
 * Switch the fingerprint off for a run that nobody compares with another. Before it is switched on
 * again every write must have been taken back.
 */
export function fingerprinting(on: boolean): void {
  hashing = on
}

/** Contribution of one word to the low lane of the fingerprint; zero words contribute nothing. */
function mixLo(at: number, value: number): number {
  if (value === 0) return 0
  let h = Math.imul(at, 0x9e3779b1) ^ Math.imul(value, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d)
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b)
  return h ^ (h >>> 16)
}

/** The same for the high lane, with constants of its own. */
function mixHi(at: number, value: number): number {
  if (value === 0) return 0
  let h = Math.imul(at + 0x68bc21eb, 0xc2b2ae35) + Math.imul(value, 0x27d4eb2f)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39)
  return h ^ (h >>> 15)
}

function log(at: number, old: number): void {
  if (undoTop + 2 > undoLog.length) {
    const grown = new Int32Array(undoLog.length * 2)
    grown.set(undoLog)
    undoLog = grown
  }
  undoLog[undoTop++] = at
  undoLog[undoTop++] = old
}

/** Write a word that is part of the fingerprint. */
export function poke(at: number, value: number): void {
  const old = mem[at] as number
  if (old === value) return
  log(at, old)
  if (hashing) {
    lo ^= mixLo(at, old) ^ mixLo(at, value)
    hi ^= mixHi(at, old) ^ mixHi(at, value)
  }
  mem[at] = value
  if (at >= highWater) highWater = at + 1
}

/**
 * Write a word that is left out of the fingerprint, because it is a function of other words
 * (a task's pending effect) or is never read by the kernel (a statistic). The undo log marks
 * such an entry by a negative address.
 */
export function pokeUnhashed(at: number, value: number): void {
  const old = mem[at] as number
  if (old === value) return
  log(-at, old)
  mem[at] = value
  if (at >= highWater) highWater = at + 1
}

/** Tell the sanitizers whose bits are in `watchers` that something they read has changed. */
export function markDirty(watchers: number): void {
  dirty |= watchers
}

export function takeDirty(): number {
  const bits = dirty
  dirty = 0
  return bits
}

/** A point in the undo log to which `undoTo` can return. */
export function undoMark(): number {
  return undoTop
}

/** Take back every write since `mark`, newest first. */
export function undoTo(mark: number): void {
  while (undoTop > mark) {
    const old = undoLog[--undoTop] as number
    const at = undoLog[--undoTop] as number
    if (at < 0 || !hashing) {
      mem[at < 0 ? -at : at] = old
      continue
    }
    const now = mem[at] as number
    lo ^= mixLo(at, old) ^ mixLo(at, now)
    hi ^= mixHi(at, old) ^ mixHi(at, now)
    mem[at] = old
  }
}

/** Addresses written since `mark`, each once, in order of first write. */
export function writtenSince(mark: number): number[] {
  const seen = new Set<number>()
  for (let i = mark; i < undoTop; i += 2) seen.add(Math.abs(undoLog[i] as number))
  return [...seen]
}

/** The value that the word at `at` had at `mark`. */
export function valueAt(mark: number, at: number): number {
  for (let i = mark; i < undoTop; i += 2) {
    if (Math.abs(undoLog[i] as number) === at) return undoLog[i + 1] as number
  }
  return mem[at] as number
}

/** Low lane of the fingerprint of all hashed words. */
export function fingerprintLo(): number {
  return lo
}

/** High lane of the fingerprint of all hashed words. */
export function fingerprintHi(): number {
  return hi
}

/** Empty arena, empty undo log, fingerprint of nothing. */
export function resetArena(): void {
  mem.fill(0, 0, highWater)
  highWater = FIRST_WORD
  lo = 0
  hi = 0
  undoTop = 0
  dirty = 0
}

/** Forget how to go back behind the present state; the search starts here. */
export function forgetUndo(): void {
  undoTop = 0
}
