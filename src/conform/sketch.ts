/**
 * What a generator remembers of the program so far, to aim at edges: a guess, since it does not
 * know which calls fail. And the values that lie on edges.
 */
import { PAGE_BYTES as PAGE } from '../machine/blob.js'
import { exact, type Int } from './program.js'
import type { Random } from './random.js'

export interface SketchedFile {
  /** Bytes, if the calls so far did what they asked for. */
  size: number
  /** It is a virtual machine; calls on files are not for it. */
  readonly isVm?: boolean
}

export interface SketchedMap {
  readonly file: number
  readonly len: number
  /** Where in the file it begins, in bytes. */
  readonly offset: number
  /** Whether the kernel may well have made it. */
  readonly likely: boolean
}

export interface Sketch {
  readonly files: SketchedFile[]
  readonly maps: SketchedMap[]
}

/** Where 64-bit arithmetic turns over, and a little before. */
const HUGE: readonly [Int, ...Int[]] = [
  2 ** 31,
  2 ** 32 - PAGE,
  2 ** 32,
  2 ** 40,
  (1n << 63n) - BigInt(PAGE),
  (1n << 63n) - 1n,
]

const NEGATIVE: readonly [Int, ...Int[]] = [-1, -PAGE, exact(-(1n << 63n))]

/** At, just before or just behind a page's beginning. */
function pageEdge(random: Random): number {
  return Math.max(0, random.below(7) * PAGE + random.pick([-1, 0, 0, 0, 1]))
}

/** At the end of a file, or the page edges around it. */
function endEdge(random: Random, size: number): number {
  const down = size - (size % PAGE)
  return Math.max(0, random.pick([size - 1, size, size, size + 1, down, down + PAGE]))
}

/** A position in a file of this size. */
export function anOffset(random: Random, size: number): Int {
  return random.weighted<() => Int>([
    [45, () => pageEdge(random)],
    [30, () => endEdge(random, size)],
    [12, () => random.pick([0, 1, 100, 16 * PAGE])],
    [4, () => random.pick(NEGATIVE)],
    [4, () => random.pick(HUGE)],
  ])()
}

/** A number of bytes from `offset` on that stays small, or is none at all. */
export function aLength(random: Random, offset: Int, size: number): number {
  const toEnd = size - Number(offset)
  const edges = toEnd > 0 && toEnd <= 16 * PAGE ? [toEnd, toEnd + 1] : []
  return random.weighted<() => number>([
    [50, () => random.pick([PAGE, PAGE, 2 * PAGE, 3 * PAGE, 4 * PAGE])],
    [25, () => random.pick([1, 10, 100, PAGE - 1, PAGE + 1, 2 * PAGE - 1])],
    [10, () => random.pick(edges) ?? PAGE],
    [5, () => 0],
  ])()
}

/** A number of bytes for a call that allocates nothing: also negative and beyond all ends. */
export function anyLength(random: Random, offset: Int, size: number): Int {
  if (random.chance(0.85)) return aLength(random, offset, size)
  return random.chance(0.5) ? random.pick(NEGATIVE) : random.pick(HUGE)
}

/** Whether fallocate() from here cannot allocate more than a little. */
export function isSmall(len: Int): boolean {
  return len <= 16 * PAGE
}
