/** Programs on guest_memfd and the memory slots of a virtual machine. */

import {
  GUEST_MEMFD_FLAG_INIT_SHARED,
  GUEST_MEMFD_FLAG_MMAP,
  KVM_MEM_GUEST_MEMFD,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MFD_ALLOW_SEALING,
  PROT_EXEC,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../kernel/include/uapi.js'
import { PAGE_BYTES as PAGE } from '../machine/blob.js'
import {
  aFile,
  allocate,
  close,
  dup,
  filesOf,
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
  store,
  truncate,
  write,
} from './generate-calls.js'
import { exact, type Int, type Op } from './program.js'
import type { Random, Weighted } from './random.js'
import type { Sketch } from './sketch.js'

const SIZES: Weighted<Int> = [
  [40, 4 * PAGE],
  [20, 16 * PAGE],
  [15, 2 * PAGE],
  [10, PAGE],
  [1, 0],
  [1, PAGE + 1],
  [1, -PAGE],
  [1, 2 ** 40],
  [1, exact((1n << 63n) - 4096n)],
]

/** The bits 4 and 2^63 are unknown. */
const FLAGS: Weighted<Int> = [
  [70, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED],
  [8, GUEST_MEMFD_FLAG_MMAP],
  [4, GUEST_MEMFD_FLAG_INIT_SHARED],
  [8, 0],
  [1, 4],
  [1, 7],
  [1, exact(1n << 63n)],
]

const gmem: Maker = (random, sketch) => {
  const size = random.weighted(SIZES)
  sketch.files.push({ size: Math.min(Math.max(Number(size), 0), 2 ** 31) })
  return ['kvm_create_guest_memfd', size, random.weighted(FLAGS)]
}

/** A file that is no guest_memfd, for whoever forgets to look. */
const memfd: Maker = (_random, sketch) => {
  sketch.files.push({ size: 0 })
  return ['memfd_create', MFD_ALLOW_SEALING]
}

/** Descriptors of VMs in a program. */
const MOST_VMS = 5

/** A virtual machine, which the calls that follow are on. */
const vm: Maker = (random, sketch) => {
  if (filesOf(sketch, true).length >= MOST_VMS) return use(random, sketch)
  sketch.files.push({ size: 0, isVm: true })
  return ['kvm_create_vm', 0]
}

/** Go on with another VM, or ask of another file what only a VM can do. */
const use: Maker = (random, sketch) => {
  const of = random.chance(0.08) ? aFile(random, sketch) : aVm(random, sketch)
  return ['use', of]
}

const dupVm: Maker = (random, sketch) => {
  const of = aVm(random, sketch)
  sketch.files.push({ size: 0, isVm: true })
  return ['dup', of]
}

/** Its slots and files may be in use. */
const closeVm: Maker = (random, sketch) => ['close', aVm(random, sketch)]

function aVm(random: Random, sketch: Sketch): number {
  return random.pick(filesOf(sketch, true)) ?? 0
}

/** A slot: one of a few, now and then a distant one, or one that there is not. */
function aSlot(random: Random): number {
  return random.weighted<() => number>([
    [90, () => random.below(3)],
    [6, () => random.pick([8, 1000, 32763])],
    [4, () => random.pick([32764, 65536])],
  ])()
}

const UNKNOWN_SLOT_FLAG = 8

const SLOT_FLAGS: Weighted<number> = [
  [65, KVM_MEM_GUEST_MEMFD],
  [18, 0],
  [5, KVM_MEM_LOG_DIRTY_PAGES],
  [4, KVM_MEM_READONLY],
  [2, KVM_MEM_GUEST_MEMFD | KVM_MEM_LOG_DIRTY_PAGES],
  [2, KVM_MEM_GUEST_MEMFD | KVM_MEM_READONLY],
  [2, UNKNOWN_SLOT_FLAG],
]

const bind: Maker = (random, sketch) => {
  const gpa = random.weighted<Int>([
    [50, random.pick([0, PAGE, 4 * PAGE, 8 * PAGE])],
    [10, random.pick([2 * PAGE, 2 ** 32])],
    [2, random.pick([1, -PAGE])],
  ])
  const size = random.weighted<Int>([
    [70, random.pick([PAGE, 2 * PAGE, 4 * PAGE])],
    [10, 16 * PAGE],
    [4, random.pick([PAGE + 1, 0, 2 ** 44, -PAGE])],
  ])
  const offset = random.weighted<Int>([
    [80, random.pick([0, 0, PAGE, 2 * PAGE, 3 * PAGE])],
    [10, random.pick([16 * PAGE, 15 * PAGE, 4 * PAGE])],
    [6, random.pick([1, -PAGE, exact((1n << 63n) - 4096n)])],
  ])
  const flags = random.weighted(SLOT_FLAGS)
  const vms = random.chance(0.05) ? filesOf(sketch, true) : []
  const file = random.pick(vms) ?? aFile(random, sketch)
  return ['kvm_set_user_memory_region2', aSlot(random), flags, gpa, size, file, offset]
}

const remove: Maker = (random) => ['unbind', aSlot(random)]

const map = mmap({
  prot: [
    [70, PROT_READ | PROT_WRITE],
    [20, PROT_READ],
    [3, PROT_WRITE],
    [3, PROT_NONE],
    [3, PROT_READ | PROT_EXEC],
  ],
  flags: [
    [85, MAP_SHARED],
    [8, MAP_PRIVATE],
    [5, MAP_SHARED_VALIDATE],
    [1, 0],
  ],
})

const ALWAYS: Weighted<Maker> = [
  [24, allocate],
  [20, bind],
  [8, remove],
  [10, map],
  [3, truncate],
  [2, fstat],
  [2, gmem],
  [1, memfd],
  [3, dup],
  [4, close],
  [1, getSeals],
  [1, lseek],
  [1, pread],
  [1, pwrite],
  [1, read],
  [1, write],
]

const WITH_MAPS: Weighted<Maker> = [
  ...ALWAYS,
  [12, load],
  [14, store],
  [4, munmap],
  [7, madvise],
  [4, mprotect],
]

/** What programs do with VMs of their own. */
const VMS: Weighted<Maker> = [
  [12, use],
  [6, gmem],
  [3, vm],
  [2, dupVm],
  [3, closeVm],
]

/** Every third program has two VMs, each with a file. */
function begin(random: Random, sketch: Sketch): Op[] {
  if (random.chance(0.35)) {
    const makers = [vm, gmem, vm, gmem]
    return makers.map((make) => make(random, sketch))
  }
  const ops: Op[] = [gmem(random, sketch)]
  while (ops.length < 3 && random.chance(0.4)) ops.push(gmem(random, sketch))
  return ops
}

export function guestMemfdProgram(random: Random, calls: number): Op[] {
  const sketch: Sketch = { files: [], maps: [] }
  const ops = begin(random, sketch)
  const vms = filesOf(sketch, true).length > 0 ? VMS : []
  while (ops.length < calls) {
    const choices = sketch.maps.length > 0 ? WITH_MAPS : ALWAYS
    ops.push(random.weighted([...choices, ...vms])(random, sketch))
  }
  return ops
}
