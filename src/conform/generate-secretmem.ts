/** Programs on secretmem: one size for life, shared maps only, no other way in. */
import {
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
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

const secret: Maker = (random, sketch) => {
  sketch.files.push({ size: 0 })
  const flags = random.weighted([
    [20, 0],
    [1, 1],
    [1, 2],
  ])
  return ['memfd_secret', flags]
}

const map = mmap({
  prot: [
    [70, PROT_READ | PROT_WRITE],
    [20, PROT_READ],
    [3, PROT_WRITE],
    [3, PROT_NONE],
    [3, PROT_READ | PROT_EXEC],
  ],
  flags: [
    [80, MAP_SHARED],
    [10, MAP_PRIVATE],
    [5, MAP_SHARED_VALIDATE],
    [1, 0],
  ],
})

const ALWAYS: Weighted<Maker> = [
  [12, truncate],
  [10, map],
  [5, allocate],
  [3, pread],
  [3, pwrite],
  [2, read],
  [2, write],
  [3, lseek],
  [3, seal],
  [2, getSeals],
  [2, fstat],
  [1, sync],
  [1, secret],
  [1, dup],
  [1, close],
]

const WITH_MAPS: Weighted<Maker> = [
  ...ALWAYS,
  [16, load],
  [20, store],
  [5, munmap],
  [7, madvise],
  [4, mprotect],
]

export function secretmemProgram(random: Random, calls: number): Op[] {
  const sketch: Sketch = { files: [], maps: [] }
  const ops: Op[] = [secret(random, sketch)]
  if (random.chance(0.2)) ops.push(secret(random, sketch))
  if (random.chance(0.8)) ops.push(truncate(random, sketch))
  while (ops.length < calls) {
    const choices = sketch.maps.length > 0 ? WITH_MAPS : ALWAYS
    ops.push(random.weighted(choices)(random, sketch))
  }
  return ops
}
