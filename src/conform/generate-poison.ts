/**
 * Programs that break memory: hard and soft offlining of pages in use. They are for a kernel that
 * nobody else needs. The first are fixed, each the story of one question; then random ones.
 */

import { GUEST_MEMORY } from '../calls/table.js'
import {
  MADV_DONTNEED,
  MADV_HWPOISON,
  MADV_POPULATE_READ,
  MADV_REMOVE,
  MADV_SOFT_OFFLINE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
  SEEK_DATA,
} from '../kernel/include/uapi.js'
import { PAGE_BYTES as PAGE } from '../machine/blob.js'
import {
  fstat,
  load,
  lseek,
  type Maker,
  mmap,
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

const READ_WRITE = PROT_READ | PROT_WRITE

/** A memfd of two pages with a byte in each, mapped. */
const TWO_PAGES: readonly Op[] = [
  ['memfd_create', 0],
  ['ftruncate', 0, 2 * PAGE],
  ['mmap', 0, READ_WRITE, MAP_SHARED, 2 * PAGE, 0],
  ['store', 0, 0, 7],
  ['store', 0, PAGE, 8],
]

const BREAK: Op = ['madvise', 0, 0, PAGE, MADV_HWPOISON]
const LOOK: readonly Op[] = [
  ['load', 0, 0],
  ['pread', 0, 0, 1],
]

export const POISON_STORIES: readonly (readonly Op[])[] = [
  [
    ...TWO_PAGES,
    BREAK,
    ...LOOK,
    ['store', 0, 0, 1],
    ['pwrite', 0, 0, 1, 1],
    ['load', 0, PAGE],
    ['lseek', 0, 0, SEEK_DATA],
    ['fallocate', 0, 0, 0, PAGE],
    ['madvise', 0, 0, PAGE, MADV_POPULATE_READ],
    BREAK,
    ['mmap', 0, READ_WRITE, MAP_PRIVATE, PAGE, 0],
    ['load', 1, 0],
    ['fallocate', 0, PUNCH, 0, PAGE],
    ...LOOK,
    ['pwrite', 0, 0, 1, 9],
    ...LOOK,
    ['madvise', 0, 0, PAGE, MADV_DONTNEED],
    ...LOOK,
  ],
  [...TWO_PAGES, BREAK, ['ftruncate', 0, 0], ['load', 0, 0], ['ftruncate', 0, 2 * PAGE], ...LOOK],
  [...TWO_PAGES, BREAK, ['madvise', 0, 0, PAGE, MADV_REMOVE], ...LOOK, ['store', 0, 0, 5], ...LOOK],
  [
    ...TWO_PAGES,
    ['fallocate', 0, PUNCH, 0, 2 * PAGE],
    BREAK,
    ...LOOK,
    ['fstat', 0],
    ['munmap', 0],
    ['pread', 0, 0, 1],
  ],
  [
    ...TWO_PAGES,
    ['madvise', 0, 0, 2 * PAGE, MADV_SOFT_OFFLINE],
    ...LOOK,
    ['load', 0, PAGE],
    ['store', 0, 0, 9],
    ...LOOK,
  ],
  [
    ...TWO_PAGES,
    ['compact'],
    ...LOOK,
    ['move_pages', 0, 0, 1],
    ...LOOK,
    ['mmap', 0, READ_WRITE, MAP_SHARED, PAGE, 0],
    ['load', 1, 0],
    BREAK,
    ['move_pages', 0, 0, 0],
    ['load', 1, 0],
  ],
  [
    ...TWO_PAGES,
    ['move_pages', 0, 0, 2],
    ['move_pages', 0, 0, -1],
    ['move_pages', 0, 0, 0],
    ['move_pages', 0, 0, 1],
    ['mmap', 0, READ_WRITE, MAP_SHARED, PAGE, 0],
    ['load', 1, 0],
    ['move_pages', 0, 0, 1],
    ['move_pages', 0, 0, 0],
    ['munmap', 1],
    ['move_pages', 0, 0, 0],
    ['mmap', 0, READ_WRITE, MAP_PRIVATE, PAGE, PAGE],
    ['move_pages', 2, 0, 1],
    ['store', 2, 0, 9],
    ['move_pages', 2, 0, 1],
    ['load', 2, 0],
    ['fallocate', 0, PUNCH, 0, PAGE],
    ['move_pages', 0, 0, 0],
  ],
  [
    ['memfd_secret', 0],
    ['ftruncate', 0, PAGE],
    ['mmap', 0, READ_WRITE, MAP_SHARED, PAGE, 0],
    ['store', 0, 0, 7],
    ['madvise', 0, 0, PAGE, MADV_SOFT_OFFLINE],
    ['madvise', 0, 0, PAGE, MADV_HWPOISON],
    ['move_pages', 0, 0, 1],
    ['compact'],
    ['load', 0, 0],
  ],
  [
    ...TWO_PAGES,
    ['kvm_set_user_memory_region', 0, 0, GUEST_MEMORY, 2 * PAGE, 0, 0],
    ['run', GUEST_MEMORY],
    ['store', 0, 0, 0x50],
    ['run', GUEST_MEMORY],
    ['fallocate', 0, PUNCH, 0, PAGE],
    ['run', GUEST_MEMORY],
    ['madvise', 0, 0, PAGE, MADV_SOFT_OFFLINE],
    ['run', GUEST_MEMORY],
    BREAK,
    ['run', GUEST_MEMORY],
    ['fallocate', 0, PUNCH, 0, PAGE],
    ['run', GUEST_MEMORY],
    ['madvise', 0, 0, PAGE, MADV_DONTNEED],
    ['run', GUEST_MEMORY],
  ],
]

const create: Maker = (_random, sketch) => {
  sketch.files.push({ size: 0 })
  return ['memfd_create', 0]
}

const map = mmap({
  prot: [[1, READ_WRITE]],
  flags: [
    [3, MAP_SHARED],
    [1, MAP_PRIVATE],
  ],
})

/**
 * Soft offlining is left to the stories: it fails if the page waits in a batch to be activated,
 * which depends on how often it was looked at before.
 */
const advise: Maker = (random, sketch) => {
  const advice = random.weighted([
    [30, MADV_HWPOISON],
    [20, MADV_DONTNEED],
    [10, MADV_REMOVE],
    [5, MADV_POPULATE_READ],
  ])
  const page = random.below(4) * PAGE
  return ['madvise', random.below(Math.max(1, sketch.maps.length)), page, PAGE, advice]
}

const punch: Maker = (random, sketch) => [
  'fallocate',
  random.below(sketch.files.length),
  PUNCH,
  random.below(4) * PAGE,
  random.pick([PAGE, PAGE, 2 * PAGE, 100]),
]

/** To a node of the two, or now and then to one that there is not. */
const move: Maker = (random, sketch) => [
  'move_pages',
  random.below(Math.max(1, sketch.maps.length)),
  random.below(4) * PAGE,
  random.weighted([
    [10, 1],
    [8, 0],
    [1, 2],
    [1, -1],
  ]),
]

/** A byte of the guest's four pages, which are those of the first map. */
const run: Maker = (random) => ['run', GUEST_MEMORY + random.below(4) * PAGE + random.below(2)]

const CHOICES: Weighted<Maker> = [
  [22, advise],
  [20, load],
  [16, store],
  [8, pread],
  [8, pwrite],
  [8, punch],
  [5, truncate],
  [4, lseek],
  [4, map],
  [3, munmap],
  [2, fstat],
  [10, move],
  [3, () => ['compact']],
]

const WITH_GUEST: Weighted<Maker> = [...CHOICES, [20, run]]

/** One program in so many has a guest. */
const GUESTS = 4

export function poisonProgram(random: Random, calls: number): Op[] {
  const sketch: Sketch = { files: [], maps: [] }
  const ops: Op[] = [
    create(random, sketch),
    ['ftruncate', 0, 4 * PAGE],
    ['mmap', 0, READ_WRITE, MAP_SHARED, 4 * PAGE, 0],
  ]
  sketch.files[0] = { size: 4 * PAGE }
  sketch.maps.push({ file: 0, len: 4 * PAGE, offset: 0, likely: true })
  const hasGuest = random.below(GUESTS) === 0
  if (hasGuest) ops.push(['kvm_set_user_memory_region', 0, 0, GUEST_MEMORY, 4 * PAGE, 0, 0])
  const choices = hasGuest ? WITH_GUEST : CHOICES
  while (ops.length < calls) ops.push(random.weighted(choices)(random, sketch))
  return ops
}
