/**
 * Programs that look at the pages of their maps: those of memfds, shared and private, of
 * guest_memfds, or of secret memory.
 *
 * Linux merges mappings that lie side by side, and a read fault then maps what is cached across
 * both; in the model they stay apart (vma_merge is left out). So a map of a memfd is one page, an
 * even one of the file: no two can be merged, and mprotect() splits none.
 *
 * Secret memory is always locked, and what unmaps it while it stays in its file is left out: munmap
 * and the advice that does not leave locked pages alone. Linux unlocks such a page through a batch
 * of the CPU; mapped again before the batch is worked off, it can lose PG_mlocked (see
 * `kernel/mm/mlocked.ts`).
 */

import {
  GUEST_MEMFD_FLAG_INIT_SHARED,
  GUEST_MEMFD_FLAG_MMAP,
  MADV_DONTNEED_LOCKED,
  MAP_PRIVATE,
  MAP_SHARED,
  MFD_ALLOW_SEALING,
  PROT_READ,
  PROT_WRITE,
} from '../kernel/include/uapi.js'
import { PAGE_BYTES as PAGE } from '../machine/blob.js'
import {
  aFile,
  allocate,
  load,
  type Maker,
  madvise,
  mprotect,
  munmap,
  page,
  pread,
  pwrite,
  store,
} from './generate-calls.js'
import type { Op } from './program.js'
import type { Random, Weighted } from './random.js'
import type { Sketch } from './sketch.js'

const SIZE = 6 * PAGE

interface MapKinds {
  readonly flags: Weighted<number>
  /** Bytes. */
  readonly len: Weighted<number>
  readonly offset: Weighted<number>
}

function mapOf(kinds: MapKinds): Maker {
  return (random, sketch) => {
    const file = aFile(random, sketch)
    const [len, offset] = [random.weighted(kinds.len), random.weighted(kinds.offset)]
    sketch.maps.push({ file, len, offset, likely: true })
    const prot = random.chance(0.75) ? PROT_READ | PROT_WRITE : PROT_READ
    return ['mmap', file, prot, random.weighted(kinds.flags), len, offset]
  }
}

const SHARED: Weighted<number> = [[1, MAP_SHARED]]

/** The pages that a map of several can have. */
const MANY = {
  flags: SHARED,
  len: [
    [1, PAGE],
    [2, 2 * PAGE],
    [1, 4 * PAGE],
  ],
  offset: [
    [3, 0],
    [1, PAGE],
    [1, 2 * PAGE],
  ],
} satisfies MapKinds

const softAdvice: Maker = (random, sketch) => {
  const op = madvise(random, sketch)
  return op[0] === 'madvise' && op[4] === MADV_DONTNEED_LOCKED ? page(random, sketch) : op
}

/** What a program can be about: how its files begin, and what is done to them. */
interface Subject {
  readonly begin: (file: number) => readonly Op[]
  readonly map: Maker
  readonly calls: Weighted<Maker>
}

const LOOKS: Weighted<Maker> = [
  [40, page],
  [16, load],
  [20, store],
]

const memfd: Subject = {
  begin: (file) => [
    ['memfd_create', MFD_ALLOW_SEALING],
    ['ftruncate', file, SIZE],
  ],
  map: mapOf({
    flags: [
      [2, MAP_SHARED],
      [1, MAP_PRIVATE],
    ],
    len: [[1, PAGE]],
    offset: [
      [3, 0],
      [1, 2 * PAGE],
      [1, 4 * PAGE],
    ],
  }),
  calls: [
    ...LOOKS,
    [8, allocate],
    [8, madvise],
    [5, pwrite],
    [2, pread],
    [4, munmap],
    [3, mprotect],
  ],
}

const guestMemfd: Subject = {
  begin: () => [
    ['kvm_create_guest_memfd', SIZE, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED],
  ],
  map: mapOf(MANY),
  calls: [...LOOKS, [8, allocate], [8, madvise], [4, munmap], [3, mprotect]],
}

const secretmem: Subject = {
  begin: (file) => [
    ['memfd_secret', 0],
    ['ftruncate', file, SIZE],
  ],
  map: mapOf(MANY),
  calls: [...LOOKS, [4, softAdvice], [3, mprotect]],
}

export function pageProgram(random: Random, calls: number): Op[] {
  const subject = random.weighted<Subject>([
    [5, memfd],
    [2, secretmem],
  ])
  return programAbout(subject, random, calls)
}

export function guestPageProgram(random: Random, calls: number): Op[] {
  return programAbout(guestMemfd, random, calls)
}

function programAbout(subject: Subject, random: Random, calls: number): Op[] {
  const sketch: Sketch = { files: [], maps: [] }
  const ops: Op[] = []
  do {
    ops.push(...subject.begin(sketch.files.length))
    sketch.files.push({ size: SIZE })
  } while (sketch.files.length < 2 && random.chance(0.3))
  const maps = 1 + random.below(2)
  for (let i = 0; i < maps; i++) ops.push(subject.map(random, sketch))
  const choices: Weighted<Maker> = [...subject.calls, [6, subject.map]]
  while (ops.length < calls) ops.push(random.weighted(choices)(random, sketch))
  return ops
}
