/**
 * Programs on memory of all kinds: anonymous, files mapped shared and privately, read-only and not,
 * locked and not, part by part. What is written, dropped and made anew must be what is read.
 *
 * Left out: what depends on whether mappings side by side are one (Linux merges them, the model does
 * not), which is how far around a fault pages are mapped. So there are no facts of pages.
 */

import {
  MADV_COLD,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_REMOVE,
  MADV_WILLNEED,
  MAP_ANONYMOUS,
  MAP_LOCKED,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../kernel/include/uapi.js'
import { PAGE_BYTES as PAGE } from '../machine/blob.js'
import {
  allocate,
  aRange,
  load,
  type Maker,
  mincore,
  mlock,
  msync,
  munlock,
  munmap,
  PUNCH,
  pread,
  pwrite,
  store,
  truncate,
} from './generate-calls.js'
import type { Op } from './program.js'
import type { Random, Weighted } from './random.js'
import type { Sketch } from './sketch.js'

const SIZE = 6 * PAGE
const READ_WRITE = PROT_READ | PROT_WRITE

const FLAGS: Weighted<number> = [
  [6, 0],
  [1, MAP_NORESERVE],
  [1, MAP_POPULATE],
  [1, MAP_LOCKED],
]

/** Anonymous memory is private; a file's may be either. */
const map: Maker = (random, sketch) => {
  const anonymous = random.chance(0.35)
  const shared = !anonymous && random.chance(0.5)
  const file = anonymous ? sketch.files.length : random.below(sketch.files.length)
  const len = (1 + random.below(4)) * PAGE
  const offset = anonymous ? 0 : random.below(3) * PAGE
  const flags =
    random.weighted(FLAGS) | (shared ? MAP_SHARED : MAP_PRIVATE) | (anonymous ? MAP_ANONYMOUS : 0)
  const prot = random.weighted([
    [12, READ_WRITE],
    [4, PROT_READ],
    [1, PROT_NONE],
  ])
  sketch.maps.push({ file, len, offset, likely: true })
  return ['mmap', file, prot, flags, len, offset]
}

/** Advice at any place of a map, also of what is locked, and of memory that has no file. */
const advise: Maker = (random, sketch) => [
  'madvise',
  ...aRange(random, sketch),
  random.weighted([
    [12, MADV_DONTNEED],
    [4, MADV_REMOVE],
    [4, MADV_POPULATE_READ],
    [4, MADV_POPULATE_WRITE],
    [3, MADV_DONTNEED_LOCKED],
    [3, MADV_PAGEOUT],
    [3, MADV_FREE],
    [2, MADV_COLD],
    [1, MADV_WILLNEED],
  ]),
]

const protect: Maker = (random, sketch) => [
  'mprotect',
  ...aRange(random, sketch),
  random.weighted([
    [5, READ_WRITE],
    [4, PROT_READ],
    [1, PROT_NONE],
  ]),
]

const punch: Maker = (random, sketch) => {
  const op = allocate(random, sketch)
  return op[0] === 'fallocate' ? ['fallocate', op[1] ?? 0, PUNCH, random.below(6) * PAGE, PAGE] : op
}

const CALLS: Weighted<Maker> = [
  [22, store],
  [20, load],
  [12, advise],
  [7, protect],
  [6, mlock],
  [4, munlock],
  [5, mincore],
  [3, msync],
  [5, pwrite],
  [4, pread],
  [5, punch],
  [2, truncate],
  [4, munmap],
  [8, map],
]

export function memoryProgram(random: Random, calls: number): Op[] {
  const sketch: Sketch = { files: [], maps: [] }
  const ops: Op[] = []
  do {
    ops.push(['memfd_create', 0], ['ftruncate', sketch.files.length, SIZE])
    sketch.files.push({ size: SIZE })
  } while (sketch.files.length < 2 && random.chance(0.3))
  ops.push(map(random, sketch))
  while (ops.length < calls) ops.push(random.weighted(CALLS)(random, sketch))
  return ops
}
