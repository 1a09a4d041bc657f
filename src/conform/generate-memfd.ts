/** Programs on memfds: sizes, holes, seals, positions, mappings, in any order. */
import {
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  MFD_NOEXEC_SEAL,
  PROT_EXEC,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../kernel/include/uapi.js'
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
  sync,
  truncate,
  write,
} from './generate-calls.js'
import type { Op } from './program.js'
import type { Random, Weighted } from './random.js'
import type { Sketch } from './sketch.js'

/** A flag that memfd_create() does not have. */
const UNKNOWN = 32

/** Sealable ones are the most; then plain, CLOEXEC, NOEXEC_SEAL, EXEC, and what is refused. */
const FLAGS: Weighted<number> = [
  [50, MFD_ALLOW_SEALING],
  [12, 0],
  [10, MFD_ALLOW_SEALING | MFD_CLOEXEC],
  [10, MFD_NOEXEC_SEAL],
  [6, MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL],
  [6, MFD_EXEC],
  [6, MFD_ALLOW_SEALING | MFD_EXEC],
  [1, MFD_NOEXEC_SEAL | MFD_EXEC],
  [1, UNKNOWN],
]

const create: Maker = (random, sketch) => {
  sketch.files.push({ size: 0 })
  return ['memfd_create', random.weighted(FLAGS)]
}

const map = mmap({
  prot: [
    [60, PROT_READ | PROT_WRITE],
    [30, PROT_READ],
    [4, PROT_WRITE],
    [2, PROT_NONE],
    [2, PROT_READ | PROT_EXEC],
  ],
  flags: [
    [60, MAP_SHARED],
    [30, MAP_PRIVATE],
    [6, MAP_SHARED_VALIDATE],
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
  [1, sync],
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
