/**
 * The arena: every word of machine state that can differ between two states lies in one
 * Int32Array. A write records the old value, so that a search can step back. The 64-bit
 * fingerprint of the whole arena is brought up to date when somebody asks for it, from the words
 * written since it was asked for last: the cost is that of the net changes of a step, however
 * large the arena is and however often the step wrote a word.
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
/** The fingerprint accounts for the entries of the undo log below this one. */
let settledTop = 0
/** By word: the round of settling in which it was seen last. */
const settledIn = new Int32Array(ARENA_WORDS)
let round = 0
let highWater = FIRST_WORD
/** Bits of the sanitizers that read a word which was written since the last `takeDirty`. */
let dirty = 0

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

function growLog(): void {
  const grown = new Int32Array(undoLog.length * 2)
  grown.set(undoLog)
  undoLog = grown
}

/** Write a word. */
export function poke(at: number, value: number): void {
  if (noting) note(at)
  pokeFrame(at, value)
}

/**
 * The same, of a frame of the running task. What was there before is no input of the step: frames
 * that it goes back to are noted as a whole, and beyond them all is zero.
 */
export function pokeFrame(at: number, value: number): void {
  const old = mem[at] as number
  if (old === value) return
  if (undoTop + 2 > undoLog.length) growLog()
  undoLog[undoTop] = at
  undoLog[undoTop + 1] = old
  undoTop += 2
  mem[at] = value
  if (at >= highWater) highWater = at + 1
}

/**
 * Account for the writes since the last call. What was written and written back leaves no trace,
 * and of several writes to a word only the first stays in the log.
 */
function settle(): void {
  if (settledTop === undoTop) return
  if (++round === 0x7fffffff) {
    settledIn.fill(0)
    round = 1
  }
  let kept = settledTop
  for (let i = settledTop; i < undoTop; i += 2) {
    const at = undoLog[i] as number
    if (settledIn[at] === round) continue
    settledIn[at] = round
    const old = undoLog[i + 1] as number
    const now = mem[at] as number
    if (old === now) continue
    lo ^= mixLo(at, old) ^ mixLo(at, now)
    hi ^= mixHi(at, old) ^ mixHi(at, now)
    undoLog[kept++] = at
    undoLog[kept++] = old
  }
  undoTop = kept
  settledTop = kept
}

/** Is somebody listening to what the step under way depends on? */
export let noting = false
/** By word: the round of noting in which it was met last. */
const notedIn = new Int32Array(ARENA_WORDS)
let notingRound = 0
let notes = new Int32Array(1 << 10)
let noteTop = 0

/**
 * From here on note every word that is read or written over, with the value that it has when it
 * is met first: together they are all that a step depends on.
 */
export function startNoting(): void {
  noting = true
  noteTop = 0
  if (++notingRound === 0x7fffffff) {
    notedIn.fill(0)
    notingRound = 1
  }
}

/** The words noted, in the order in which they were met: address, value. Valid until the next. */
export function stopNoting(): Int32Array {
  noting = false
  return notes.subarray(0, noteTop)
}

/** The step under way depends on this word. Called before anything is written to it. */
export function note(at: number): void {
  if (notedIn[at] === notingRound) return
  notedIn[at] = notingRound
  if (noteTop === notes.length) {
    const grown = new Int32Array(notes.length * 2)
    grown.set(notes)
    notes = grown
  }
  notes[noteTop++] = at
  notes[noteTop++] = mem[at] as number
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
  settle()
  return undoTop
}

/** Take back every write since `mark`, newest first. */
export function undoTo(mark: number): void {
  while (undoTop > mark) {
    undoTop -= 2
    const at = undoLog[undoTop] as number
    const old = undoLog[undoTop + 1] as number
    if (undoTop < settledTop) {
      const now = mem[at] as number
      lo ^= mixLo(at, old) ^ mixLo(at, now)
      hi ^= mixHi(at, old) ^ mixHi(at, now)
    }
    mem[at] = old
  }
  if (settledTop > undoTop) settledTop = undoTop
}

/** The net changes since `mark`, as `redo` takes them: address and new value. */
export function changesSince(mark: number): number[] {
  settle()
  const changes: number[] = []
  for (let i = mark; i < undoTop; i += 2) {
    const at = undoLog[i] as number
    changes.push(at, mem[at] as number)
  }
  return changes
}

/**
 * Make changes that were made before, in words `from` to `to` (exclusive) of `changes`; they
 * lead to this fingerprint.
 */
export function redo(
  changes: Int32Array,
  from: number,
  to: number,
  lowLane: number,
  highLane: number,
): void {
  while (undoTop + to - from > undoLog.length) growLog()
  for (let i = from; i < to; i += 2) {
    const at = changes[i] as number
    undoLog[undoTop++] = at
    undoLog[undoTop++] = mem[at] as number
    mem[at] = changes[i + 1] as number
    if (at >= highWater) highWater = at + 1
  }
  settledTop = undoTop
  lo = lowLane
  hi = highLane
}

/** The same, when the fingerprint at `mark` is known. */
export function rewind(mark: number, lowLane: number, highLane: number): void {
  while (undoTop > mark) {
    undoTop -= 2
    mem[undoLog[undoTop] as number] = undoLog[undoTop + 1] as number
  }
  settledTop = undoTop
  lo = lowLane
  hi = highLane
}

/** Addresses written since `mark`, each once, in order of first write. */
export function writtenSince(mark: number): number[] {
  const seen = new Set<number>()
  for (let i = mark; i < undoTop; i += 2) seen.add(undoLog[i] as number)
  return [...seen]
}

/** The value that the word at `at` had at `mark`. */
export function valueAt(mark: number, at: number): number {
  for (let i = mark; i < undoTop; i += 2) {
    if (undoLog[i] === at) return undoLog[i + 1] as number
  }
  return mem[at] as number
}

/** Low lane of the fingerprint of all words. */
export function fingerprintLo(): number {
  settle()
  return lo
}

/** High lane of the fingerprint of all words. */
export function fingerprintHi(): number {
  settle()
  return hi
}

/** Empty arena, empty undo log, fingerprint of nothing. */
export function resetArena(): void {
  mem.fill(0, 0, highWater)
  highWater = FIRST_WORD
  lo = 0
  hi = 0
  undoTop = 0
  settledTop = 0
  dirty = 0
}

/** Forget how to go back behind the present state; the search starts here. */
export function forgetUndo(): void {
  settle()
  undoTop = 0
  settledTop = 0
}
