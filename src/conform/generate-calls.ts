/** Calls that programs of every family make: on files by position, on maps, on seals. */
import type { Int, Op } from './program.js'
import type { Random } from './random.js'
import { aLength, anOffset, anyLength, isSmall, type Sketch } from './sketch.js'

const PAGE = 4096

/** Makes a call, and remembers what it will have done. */
export type Maker = (random: Random, sketch: Sketch) => Op

/** A file: most often one that there is. */
export function aFile(random: Random, sketch: Sketch): number {
  if (random.chance(0.02)) return sketch.files.length
  return random.pick(filesOf(sketch, false)) ?? sketch.files.length
}

/** The numbers of virtual machines, or of all other files. */
export function filesOf(sketch: Sketch, areVms: boolean): number[] {
  return sketch.files.flatMap((f, i) => ((f.isVm ?? false) === areVms ? [i] : []))
}

function sizeOf(sketch: Sketch, file: number): number {
  return sketch.files[file]?.size ?? 0
}

function grow(sketch: Sketch, file: number, end: Int): void {
  const known = sketch.files[file]
  if (known !== undefined && end > known.size && end < 2 ** 31) known.size = Number(end)
}

export const truncate: Maker = (random, sketch) => {
  const file = aFile(random, sketch)
  const size = anOffset(random, sizeOf(sketch, file))
  const known = sketch.files[file]
  if (known !== undefined && size >= 0 && size < 2 ** 31) known.size = Number(size)
  return ['ftruncate', file, size]
}

/** Modes of fallocate: allocate, keep the size, punch; then those that most files refuse. */
const MODES = [
  [30, 0],
  [25, 1],
  [35, 3],
  [3, 2],
  [2, 16],
  [1, 17],
  [2, 8],
  [2, 32],
  [1, 64],
  [1, 65],
  [1, 256],
  [1, 19],
] as const

export const allocate: Maker = (random, sketch) => {
  const file = aFile(random, sketch)
  const mode = random.weighted(MODES)
  const offset = anOffset(random, sizeOf(sketch, file))
  const len = anyLength(random, offset, sizeOf(sketch, file))
  const harmless = mode === 3 || isSmall(len)
  const taken = harmless ? len : PAGE
  if (mode === 0 && offset >= 0 && taken > 0) grow(sketch, file, Number(offset) + Number(taken))
  return ['fallocate', file, mode, offset, taken]
}

export const pwrite: Maker = (random, sketch) => {
  const file = aFile(random, sketch)
  const offset = anOffset(random, sizeOf(sketch, file))
  const len = aLength(random, offset, sizeOf(sketch, file))
  if (offset >= 0) grow(sketch, file, Number(offset) + len)
  return ['pwrite', file, offset, len, 1 + random.below(255)]
}

export const pread: Maker = (random, sketch) => {
  const file = aFile(random, sketch)
  const offset = anOffset(random, sizeOf(sketch, file))
  return ['pread', file, offset, aLength(random, offset, sizeOf(sketch, file))]
}

export const read: Maker = (random, sketch) => {
  const file = aFile(random, sketch)
  return ['read', file, aLength(random, 0, sizeOf(sketch, file))]
}

export const write: Maker = (random, sketch) => {
  const file = aFile(random, sketch)
  return ['write', file, aLength(random, 0, sizeOf(sketch, file)), 1]
}

/** SEEK_DATA and SEEK_HOLE, less often a position. */
export const lseek: Maker = (random, sketch) => {
  const file = aFile(random, sketch)
  const whence = random.weighted([
    [40, 3],
    [40, 4],
    [10, 0],
    [5, 1],
    [5, 2],
    [1, 5],
  ])
  return ['lseek', file, anOffset(random, sizeOf(sketch, file)), whence]
}

export const seal: Maker = (random, sketch) => {
  const seals = random.weighted([
    [90, random.pick([1, 2, 4, 8, 16, 32])],
    [8, random.pick([6, 10, 18, 24, 31, 63])],
    [4, random.pick([0, 64, -1])],
  ])
  return ['fcntl_add_seals', aFile(random, sketch), seals]
}

export const getSeals: Maker = (random, sketch) => ['fcntl_get_seals', aFile(random, sketch)]

export const fstat: Maker = (random, sketch) => ['fstat', aFile(random, sketch)]

/** Another descriptor of the same open file. */
export const dup: Maker = (random, sketch) => {
  const file = aFile(random, sketch)
  sketch.files.push(sketch.files[file] ?? { size: 0 })
  return ['dup', file]
}

export const close: Maker = (random, sketch) => ['close', aFile(random, sketch)]

/** Sharing and protection of a map, as mmap wants them. */
export interface MapKinds {
  readonly prot: readonly (readonly [number, number])[]
  readonly flags: readonly (readonly [number, number])[]
}

/** Lengths that no address space has room for, and none at all. */
const IMPOSSIBLE: readonly [Int, ...Int[]] = [0, -1, -PAGE, 2 ** 47, (1n << 63n) - BigInt(PAGE)]

/** A map, somewhere over the file's pages and a little beyond. */
export function mmap(kinds: MapKinds): Maker {
  return (random, sketch) => {
    const file = aFile(random, sketch)
    const offset = random.weighted<() => Int>([
      [85, () => random.pick([0, 0, PAGE, 2 * PAGE, 4 * PAGE])],
      [8, () => anOffset(random, sizeOf(sketch, file))],
    ])()
    const len = random.weighted<() => Int>([
      [85, () => random.pick([PAGE, 2 * PAGE, 4 * PAGE, 4 * PAGE, PAGE + 1])],
      [5, () => aLength(random, offset, sizeOf(sketch, file))],
      [4, () => random.pick(IMPOSSIBLE)],
    ])()
    const likely = Number(offset) % PAGE === 0 && offset >= 0 && len > 0 && len < 2 ** 47
    sketch.maps.push({ file, len: likely ? Number(len) : 0, offset: Number(offset), likely })
    return ['mmap', file, random.weighted(kinds.prot), random.weighted(kinds.flags), len, offset]
  }
}

function aMap(random: Random, sketch: Sketch): number {
  const likely = sketch.maps.flatMap((m, i) => (m.likely ? [i] : []))
  if (random.chance(0.95)) return random.pick(likely) ?? 0
  return random.below(sketch.maps.length + 1)
}

/** A map, and a place in it: page edges, the file's end, its own end. */
function aPlace(random: Random, sketch: Sketch): readonly [map: number, offset: number] {
  const map = aMap(random, sketch)
  const known = sketch.maps[map]
  if (known === undefined || known.len === 0) return [map, 0]
  if (random.chance(0.03)) return [map, random.pick([-1, known.len])]
  const end = sizeOf(sketch, known.file) - known.offset
  const edges = [end - 1, end, end - (end % PAGE) + PAGE].filter((o) => o >= 0 && o < known.len)
  const pages = Math.ceil(known.len / PAGE)
  const offset = random.weighted<() => number>([
    [60, () => random.below(pages) * PAGE],
    [20, () => random.below(known.len)],
    [20, () => random.pick(edges) ?? random.below(pages) * PAGE],
  ])()
  return [map, offset]
}

export const load: Maker = (random, sketch) => ['load', ...aPlace(random, sketch)]

export const store: Maker = (random, sketch) => [
  'store',
  ...aPlace(random, sketch),
  1 + random.below(255),
]

export const page: Maker = (random, sketch) => ['page', ...aPlace(random, sketch)]

export const munmap: Maker = (random, sketch) => ['munmap', aMap(random, sketch)]

/** Whole pages of a map. */
function aRange(random: Random, sketch: Sketch): readonly [map: number, at: number, len: number] {
  const map = aMap(random, sketch)
  const pages = Math.max(1, Math.ceil((sketch.maps[map]?.len ?? 0) / PAGE))
  if (random.chance(0.03)) return [map, random.pick([1, 0]), random.pick([0, 1, pages * PAGE + 1])]
  const first = random.below(pages)
  return [map, first * PAGE, (1 + random.below(pages - first)) * PAGE]
}

/**
 * DONTNEED and REMOVE; POPULATE_READ and _WRITE; PAGEOUT, COLD, FREE and DONTNEED_LOCKED; HUGEPAGE,
 * NOHUGEPAGE and COLLAPSE, which fails in a map of less than 2 MiB and makes no huge page that
 * memory would have to be there for; no advice at all, and none that there is.
 */
const ADVICE: readonly (readonly [number, number])[] = [
  [30, 4],
  [20, 9],
  [10, 22],
  [10, 23],
  [6, 21],
  [4, 20],
  [4, 8],
  [4, 24],
  [2, 14],
  [2, 15],
  [2, 25],
  [2, 0],
  [1, 99],
]

export const madvise: Maker = (random, sketch) => [
  'madvise',
  ...aRange(random, sketch),
  random.weighted(ADVICE),
]

export const mprotect: Maker = (random, sketch) => [
  'mprotect',
  ...aRange(random, sketch),
  random.weighted([
    [40, 3],
    [30, 1],
    [15, 0],
    [5, 2],
    [5, 5],
    [1, 16],
  ]),
]
