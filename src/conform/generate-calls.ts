/** Calls that programs of every family make: on files by position, on maps, on seals. */

import {
  F_SEAL_EXEC,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  MADV_COLD,
  MADV_COLLAPSE,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MADV_NORMAL,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_REMOVE,
  MS_ASYNC,
  MS_INVALIDATE,
  MS_SYNC,
  PROT_EXEC,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
  SEEK_CUR,
  SEEK_DATA,
  SEEK_END,
  SEEK_HOLE,
  SEEK_SET,
} from '../kernel/include/uapi.js'
import { PAGE_BYTES as PAGE } from '../machine/blob.js'
import type { Int, Op } from './program.js'
import type { Random } from './random.js'
import { aLength, anOffset, anyLength, isSmall, type Sketch } from './sketch.js'

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

/** What every puncher says. */
export const PUNCH = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
const UNKNOWN_MODE = 256

/** Modes of fallocate: allocate, keep the size, punch; then those that most files refuse. */
const MODES = [
  [30, 0],
  [25, FALLOC_FL_KEEP_SIZE],
  [35, PUNCH],
  [3, FALLOC_FL_PUNCH_HOLE],
  [2, FALLOC_FL_ZERO_RANGE],
  [1, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE],
  [2, FALLOC_FL_COLLAPSE_RANGE],
  [2, FALLOC_FL_INSERT_RANGE],
  [1, FALLOC_FL_UNSHARE_RANGE],
  [1, FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE],
  [1, UNKNOWN_MODE],
  [1, FALLOC_FL_ZERO_RANGE | PUNCH],
] as const

export const allocate: Maker = (random, sketch) => {
  const file = aFile(random, sketch)
  const mode = random.weighted(MODES)
  const offset = anOffset(random, sizeOf(sketch, file))
  const len = anyLength(random, offset, sizeOf(sketch, file))
  const harmless = mode === PUNCH || isSmall(len)
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

const UNKNOWN_WHENCE = 5

/** SEEK_DATA and SEEK_HOLE, less often a position. */
export const lseek: Maker = (random, sketch) => {
  const file = aFile(random, sketch)
  const whence = random.weighted([
    [40, SEEK_DATA],
    [40, SEEK_HOLE],
    [10, SEEK_SET],
    [5, SEEK_CUR],
    [5, SEEK_END],
    [1, UNKNOWN_WHENCE],
  ])
  return ['lseek', file, anOffset(random, sizeOf(sketch, file)), whence]
}

const SEALS = [
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_GROW,
  F_SEAL_WRITE,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_EXEC,
] as const

export const seal: Maker = (random, sketch) => {
  const seals = random.weighted([
    [90, random.pick(SEALS)],
    [8, random.pick(SEALS) | random.pick(SEALS) | random.pick(SEALS)],
    [4, random.pick([0, 64, -1])],
  ])
  return ['fcntl_add_seals', aFile(random, sketch), seals]
}

export const getSeals: Maker = (random, sketch) => ['fcntl_get_seals', aFile(random, sketch)]

export const fstat: Maker = (random, sketch) => ['fstat', aFile(random, sketch)]

export const sync: Maker = (random, sketch) => [
  random.pick(['fsync', 'fdatasync'] as const),
  aFile(random, sketch),
]

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
export function aRange(
  random: Random,
  sketch: Sketch,
): readonly [map: number, at: number, len: number] {
  const map = aMap(random, sketch)
  const pages = Math.max(1, Math.ceil((sketch.maps[map]?.len ?? 0) / PAGE))
  if (random.chance(0.03)) return [map, random.pick([1, 0]), random.pick([0, 1, pages * PAGE + 1])]
  const first = random.below(pages)
  return [map, first * PAGE, (1 + random.below(pages - first)) * PAGE]
}

const UNKNOWN_ADVICE = 99

/**
 * COLLAPSE fails in a map of less than 2 MiB and makes no huge page that memory would have to be
 * there for.
 */
const ADVICE: readonly (readonly [number, number])[] = [
  [30, MADV_DONTNEED],
  [20, MADV_REMOVE],
  [10, MADV_POPULATE_READ],
  [10, MADV_POPULATE_WRITE],
  [6, MADV_PAGEOUT],
  [4, MADV_COLD],
  [4, MADV_FREE],
  [4, MADV_DONTNEED_LOCKED],
  [2, MADV_HUGEPAGE],
  [2, MADV_NOHUGEPAGE],
  [2, MADV_COLLAPSE],
  [2, MADV_NORMAL],
  [1, UNKNOWN_ADVICE],
]

export const madvise: Maker = (random, sketch) => [
  'madvise',
  ...aRange(random, sketch),
  random.weighted(ADVICE),
]

export const mlock: Maker = (random, sketch) => ['mlock', ...aRange(random, sketch)]

export const munlock: Maker = (random, sketch) => ['munlock', ...aRange(random, sketch)]

export const mincore: Maker = (random, sketch) => {
  const [map, offset] = aRange(random, sketch)
  return ['mincore', map, offset]
}

const UNKNOWN_SYNC = 8

export const msync: Maker = (random, sketch) => [
  'msync',
  ...aRange(random, sketch),
  random.weighted([
    [6, MS_SYNC],
    [4, MS_ASYNC],
    [4, MS_INVALIDATE],
    [4, MS_INVALIDATE | MS_SYNC],
    [1, MS_ASYNC | MS_SYNC],
    [1, UNKNOWN_SYNC],
  ]),
]

const UNKNOWN_PROT = 16

export const mprotect: Maker = (random, sketch) => [
  'mprotect',
  ...aRange(random, sketch),
  random.weighted([
    [40, PROT_READ | PROT_WRITE],
    [30, PROT_READ],
    [15, PROT_NONE],
    [5, PROT_WRITE],
    [5, PROT_READ | PROT_EXEC],
    [1, UNKNOWN_PROT],
  ]),
]
