/**
 * Programs with a guest that looks: what it sees of a guest_memfd after punches, stores of the
 * host, slots that come, move and go, and files that are closed. And one fixed program that tells
 * the whole story in order.
 */

import { GUEST_MEMORY } from '../calls/table.js'
import {
  GUEST_MEMFD_FLAG_INIT_SHARED,
  GUEST_MEMFD_FLAG_MMAP,
  KVM_MEM_GUEST_MEMFD,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
} from '../kernel/include/uapi.js'
import { PAGE_BYTES as PAGE } from '../machine/blob.js'
import {
  allocate,
  close,
  dup,
  load,
  type Maker,
  mmap,
  munmap,
  PUNCH,
  store,
} from './generate-calls.js'
import type { Op } from './program.js'
import type { Random, Weighted } from './random.js'
import type { Sketch } from './sketch.js'

const SIZE = 4 * PAGE

/** A file that host and guest share. */
const MAPPABLE = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED
const READ_WRITE = PROT_READ | PROT_WRITE

const gmem: Maker = (_random, sketch) => {
  sketch.files.push({ size: SIZE })
  return ['kvm_create_guest_memfd', SIZE, MAPPABLE]
}

const aPage = (random: Random): number => random.below(4) * PAGE

const run: Maker = (random) => [
  'run',
  GUEST_MEMORY + aPage(random) + random.pick([0, 0, 0, 1, 100]),
]

const bind: Maker = (random, sketch) => {
  const size = random.pick([PAGE, 2 * PAGE, SIZE])
  const gpa = GUEST_MEMORY + aPage(random)
  const offset = random.chance(0.5) ? 0 : aPage(random)
  return [
    'kvm_set_user_memory_region2',
    random.below(2),
    4,
    gpa,
    size,
    random.below(sketch.files.length),
    offset,
  ]
}

const remove: Maker = (random) => ['unbind', random.below(2)]

const punch: Maker = (random, sketch) => [
  'fallocate',
  random.below(sketch.files.length),
  PUNCH,
  aPage(random),
  random.pick([PAGE, 2 * PAGE, SIZE]),
]

const map = mmap({ prot: [[1, READ_WRITE]], flags: [[1, MAP_SHARED]] })

const ALWAYS: Weighted<Maker> = [
  [40, run],
  [10, bind],
  [6, remove],
  [14, punch],
  [2, allocate],
  [4, map],
  [1, gmem],
  [2, dup],
  [3, close],
]

const WITH_MAPS: Weighted<Maker> = [...ALWAYS, [12, store], [5, load], [2, munmap]]

export function guestProgram(random: Random, calls: number): Op[] {
  const sketch: Sketch = { files: [], maps: [] }
  const ops: Op[] = [gmem(random, sketch)]
  if (random.chance(0.4)) ops.push(gmem(random, sketch))
  ops.push(
    ['mmap', 0, READ_WRITE, MAP_SHARED, SIZE, 0],
    ['kvm_set_user_memory_region2', 0, KVM_MEM_GUEST_MEMFD, GUEST_MEMORY, SIZE, 0, 0],
  )
  sketch.maps.push({ file: 0, len: SIZE, offset: 0, likely: true })
  while (ops.length < calls) {
    const choices = sketch.maps.length > 0 ? WITH_MAPS : ALWAYS
    ops.push(random.weighted(choices)(random, sketch))
  }
  return ops
}

/** The guest is started and its first byte is seen: nothing of the slot's user memory. */
export const GUEST_BEGINS: readonly Op[] = [
  ['kvm_create_guest_memfd', SIZE, MAPPABLE],
  ['mmap', 0, READ_WRITE, MAP_SHARED, SIZE, 0],
  ['kvm_set_user_memory_region2', 0, KVM_MEM_GUEST_MEMFD, GUEST_MEMORY, SIZE, 0, 0],
  ['store', 0, 0, 0x20],
  ['run', GUEST_MEMORY],
]

/** One event after the other, each followed by a look. */
export const GUEST_STORY: readonly Op[] = [
  ...GUEST_BEGINS,
  ['run', GUEST_MEMORY],
  ['store', 0, 0, 0x50],
  ['run', GUEST_MEMORY],
  ['load', 0, 0],
  ['fallocate', 0, PUNCH, 0, PAGE],
  ['run', GUEST_MEMORY],
  ['run', GUEST_MEMORY],
  ['unbind', 0],
  ['run', GUEST_MEMORY],
  ['kvm_set_user_memory_region2', 0, KVM_MEM_GUEST_MEMFD, GUEST_MEMORY, 2 * PAGE, 0, 2 * PAGE],
  ['store', 0, 2 * PAGE, 0x70],
  ['run', GUEST_MEMORY],
  ['fallocate', 0, PUNCH, 2 * PAGE, PAGE],
  ['run', GUEST_MEMORY],
  ['kvm_create_guest_memfd', SIZE, MAPPABLE],
  ['unbind', 0],
  ['kvm_set_user_memory_region2', 0, KVM_MEM_GUEST_MEMFD, GUEST_MEMORY, SIZE, 1, 0],
  ['run', GUEST_MEMORY],
  ['unbind', 0],
  ['kvm_set_user_memory_region2', 0, KVM_MEM_GUEST_MEMFD, GUEST_MEMORY, SIZE, 0, 0],
  ['run', GUEST_MEMORY],
  ['close', 0],
  ['run', GUEST_MEMORY],
  ['load', 0, 0],
  ['munmap', 0],
  ['run', GUEST_MEMORY],
  ['run', GUEST_MEMORY + PAGE],
  ['unbind', 0],
  ['run', GUEST_MEMORY],
]
