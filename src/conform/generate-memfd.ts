/** Programs on memfds: sizes, holes, seals, positions, mappings, in any order. */
import {
  allocate,
  close,
  dup,
  fstat,
  getSeals,
  load,
  lseek,
  type Maker,
  madvise,
  mmap,
  mprotect,
  munmap,
  pread,
  pwrite,
  read,
  seal,
  store,
  truncate,
  write,
} from './generate-calls.js'
import type { Op } from './program.js'
import type { Random, Weighted } from './random.js'
import type { Sketch } from './sketch.js'

/** Sealable ones are the most; then plain, CLOEXEC, NOEXEC_SEAL, EXEC, and what is refused. */
const FLAGS: Weighted<number> = [
  [50, 2],
  [12, 0],
  [10, 3],
  [10, 8],
  [6, 10],
  [6, 16],
  [6, 18],
  [1, 24],
  [1, 32],
]

const create: Maker = (random, sketch) => {
  sketch.files.push({ size: 0 })
  return ['memfd_create', random.weighted(FLAGS)]
}

const map = mmap({
  prot: [
    [60, 3],
    [30, 1],
    [4, 2],
    [2, 0],
    [2, 5],
  ],
  flags: [
    [60, 1],
    [30, 2],
    [6, 3],
    [1, 0],
  ],
})

const ALWAYS: Weighted<Maker> = [
  [22, allocate],
  [14, pwrite],
  [10, truncate],
  [10, lseek],
  [7, pread],
  [7, map],
  [6, seal],
  [3, getSeals],
  [3, read],
  [3, write],
  [2, fstat],
  [1, create],
  [2, dup],
  [2, close],
]

const WITH_MAPS: Weighted<Maker> = [
  ...ALWAYS,
  [14, load],
  [16, store],
  [4, munmap],
  [7, madvise],
  [4, mprotect],
]

export function memfdProgram(random: Random, calls: number): Op[] {
  const sketch: Sketch = { files: [], maps: [] }
  const ops: Op[] = [create(random, sketch)]
  while (ops.length < 3 && random.chance(0.25)) ops.push(create(random, sketch))
  if (random.chance(0.7)) ops.push(truncate(random, sketch))
  while (ops.length < calls) {
    const some = sketch.maps.length > 0 || random.chance(0.03)
    ops.push(random.weighted(some ? WITH_MAPS : ALWAYS)(random, sketch))
  }
  return ops
}
