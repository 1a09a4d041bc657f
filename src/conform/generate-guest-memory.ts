/**
 * Programs whose guest runs in ordinary memory of its process: anonymous, or a file's, shared or
 * private, read-only by mprotect() or by the slot. What the guest reads, what its process reads and
 * what the file holds are compared. They run where there is KVM with a guest that can be believed.
 *
 * No slot is over less than a page of a map, and no map is gone while nothing else could come to its
 * place: where the next map goes is the kernel's choice, and the guest would see that.
 */

import { GUEST_MEMORY } from '../calls/table.js'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  MADV_DONTNEED,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_REMOVE,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../kernel/include/uapi.js'
import { PAGE_BYTES as PAGE } from '../machine/blob.js'
import { aRange, load, type Maker, mlock, munlock, pread, pwrite, store } from './generate-calls.js'
import type { Op } from './program.js'
import type { Random, Weighted } from './random.js'
import type { Sketch } from './sketch.js'

const PAGES = 4
const SIZE = PAGES * PAGE
const READ_WRITE = PROT_READ | PROT_WRITE

/** Slots of a program; each may hold any of its maps. */
const SLOTS = 3

const map: Maker = (random, sketch) => {
  const anonymous = random.chance(0.4)
  const shared = !anonymous && random.chance(0.5)
  const file = anonymous ? sketch.files.length : random.below(sketch.files.length)
  const flags = (shared ? MAP_SHARED : MAP_PRIVATE) | (anonymous ? MAP_ANONYMOUS : 0)
  sketch.maps.push({ file, len: SIZE, offset: 0, likely: true })
  return ['mmap', file, random.chance(0.85) ? READ_WRITE : PROT_READ, flags, SIZE, 0]
}

const FLAGS: Weighted<number> = [
  [12, 0],
  [4, KVM_MEM_READONLY],
  [2, KVM_MEM_LOG_DIRTY_PAGES],
]

const slot: Maker = (random, sketch) => {
  const number = random.below(SLOTS)
  const first = random.below(PAGES)
  const pages = 1 + random.below(PAGES - first)
  return [
    'kvm_set_user_memory_region',
    number,
    random.weighted(FLAGS),
    GUEST_MEMORY + (number * PAGES + (random.chance(0.8) ? 0 : random.below(PAGES))) * PAGE,
    pages * PAGE,
    random.below(sketch.maps.length),
    first * PAGE,
  ]
}

const anAddress = (random: Random): number =>
  GUEST_MEMORY + random.below(SLOTS * PAGES) * PAGE + random.pick([0, 0, 1])

const run: Maker = (random) => ['run', anAddress(random)]
const peek: Maker = (random) => ['peek', anAddress(random)]
const remove: Maker = (random) => ['unbind', random.below(SLOTS)]

const advise: Maker = (random, sketch) => [
  'madvise',
  ...aRange(random, sketch),
  random.weighted([
    [8, MADV_DONTNEED],
    [3, MADV_REMOVE],
    [2, MADV_POPULATE_READ],
    [2, MADV_POPULATE_WRITE],
  ]),
]

const protect: Maker = (random, sketch) => [
  'mprotect',
  ...aRange(random, sketch),
  random.weighted([
    [6, READ_WRITE],
    [5, PROT_READ],
    [1, PROT_NONE],
  ]),
]

const punch: Maker = (random, sketch) => [
  'fallocate',
  random.below(sketch.files.length),
  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
  random.below(PAGES) * PAGE,
  PAGE,
]

const CALLS: Weighted<Maker> = [
  [22, run],
  [18, peek],
  [10, slot],
  [4, remove],
  [12, store],
  [8, load],
  [8, advise],
  [7, protect],
  [4, punch],
  [5, pwrite],
  [3, pread],
  [2, mlock],
  [1, munlock],
  [3, map],
]

export function guestMemoryProgram(random: Random, calls: number): Op[] {
  const sketch: Sketch = { files: [{ size: SIZE }], maps: [] }
  const ops: Op[] = [
    ['memfd_create', 0],
    ['ftruncate', 0, SIZE],
    map(random, sketch),
    ['kvm_set_user_memory_region', 0, 0, GUEST_MEMORY, SIZE, 0, 0],
  ]
  while (ops.length < calls) ops.push(random.weighted(CALLS)(random, sketch))
  return ops
}
