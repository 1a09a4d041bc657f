/** Random small scenarios, from a seed: a set-up of one of a few kinds, tasks of one to three calls. */
import { DESIGNS } from '../../src/designs/index.js'
import { type Draw, drawFrom } from '../engine/programs.js'

/** A scenario on a design, with the seed from which both can be made again. */
export interface Drawn {
  readonly seed: number
  readonly design: string
  readonly text: string
}

/** A kind of set-up, and the calls that make sense behind it. */
interface Kind {
  readonly setUp: readonly string[]
  /** Lines of which each may follow. */
  readonly more: readonly string[]
  readonly calls: readonly string[]
}

const VM = 'vm = kvm_create_vm(SW_PROTECTED)'

const PRIVATE: Kind = {
  setUp: [
    VM,
    'fd = private_memory(vm, 2P)',
    'bind(vm, slot=0, gpa=0, size=2P, fd=fd, offset=0)',
    'set_attributes(vm, gpa=0, size=2P, PRIVATE)',
  ],
  more: [
    'guest_write(vm, gpa=0, 1)',
    'guest_read(vm, gpa=1P)',
    'fallocate(fd, 0, offset=0, size=2P)',
    'drain_lru()',
  ],
  calls: [
    'guest_write(vm, gpa=0, 2)',
    'guest_write(vm, gpa=1P, 3)',
    'guest_read(vm, gpa=0)',
    'guest_read(vm, gpa=1P)',
    'fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=1P)',
    'fallocate(fd, 0, offset=0, size=2P)',
    'set_attributes(vm, gpa=0, size=1P, 0)',
    'unbind(vm, slot=0)',
    'bind(vm, slot=1, gpa=4P, size=1P, fd=fd, offset=1P)',
    'kvm_pre_fault_memory(vm, gpa=0, size=2P)',
    'ftruncate(fd, 1P)',
    'close(fd)',
    'close(vm)',
  ],
}

const FILE: Kind = {
  setUp: [
    'fd = memfd_create()',
    'ftruncate(fd, 2P)',
    'at = mmap(fd, PROT_READ|PROT_WRITE, MAP_SHARED, 2P)',
  ],
  more: ['store(at, 0, 1)', 'load(at, 1P)', 'drain_lru()', 'swapon(3P)'],
  calls: [
    'store(at, 0, 2)',
    'store(at, 1P, 3)',
    'load(at, 0)',
    'pwrite(fd, 0, 1, 4)',
    'pread(fd, 1P, 1)',
    'munmap(at, 1P)',
    'madvise(at, 2P, MADV_DONTNEED)',
    'madvise(at, 1P, MADV_REMOVE)',
    'madvise(at, 1P, MADV_PAGEOUT)',
    'mlock(at, 1P)',
    'mincore(at)',
    'fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=1P)',
    'ftruncate(fd, 1P)',
    'close(fd)',
  ],
}

const ORDINARY: Kind = {
  setUp: [
    VM,
    'fd = memfd_create()',
    'ftruncate(fd, 2P)',
    'at = mmap(fd, PROT_READ|PROT_WRITE, MAP_SHARED, 2P)',
    'slot_over(vm, slot=0, gpa=0, size=2P, at)',
  ],
  more: ['guest_write(vm, gpa=0, 1)', 'store(at, 1P, 1)', 'drain_lru()'],
  calls: [
    'guest_write(vm, gpa=0, 2)',
    'guest_read(vm, gpa=1P)',
    'store(at, 0, 3)',
    'load(at, 1P)',
    'munmap(at, 2P)',
    'madvise(at, 2P, MADV_DONTNEED)',
    'mprotect(at, 1P, PROT_READ)',
    'unbind(vm, slot=0)',
    'fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=2P)',
    'close(vm)',
  ],
}

/** What moves, poisons or takes pages, whatever they are of. */
const MOVERS = [
  'migrate(fd, page=0)',
  'migrate(fd, page=0)',
  'migrate(fd, page=1)',
  'compact()',
  'compact()',
  'memory_failure(fd, page=0)',
  'soft_offline(fd, page=0)',
  'soft_offline(fd, page=1)',
  'offline_memory(fd)',
  'drop_caches()',
  'drain_lru()',
]

const KINDS = [PRIVATE, PRIVATE, FILE, ORDINARY]

function pick<T>(draw: Draw, from: readonly T[]): T {
  return from[draw(from.length)] as T
}

/** The scenario of a seed. In every other one most calls move pages. */
export function scenarioOf(seed: number): Drawn {
  const draw = drawFrom(seed * 2 + 1)
  const kind = pick(draw, KINDS)
  const heavy = draw(2) === 0
  const call = (): string => pick(draw, draw(heavy ? 2 : 5) === 0 ? MOVERS : kind.calls)
  const lines = ['litmus fuzz/drawn', '"?"', '', 'setup', ...kind.setUp]
  for (const line of kind.more) if (draw(2) === 0) lines.push(line)
  const tasks = draw(4) === 0 ? 3 : 2
  for (let t = 0; t < tasks; t++) {
    lines.push('', `task t${t}`)
    const calls = 1 + draw(tasks === 3 ? 2 : 3)
    for (let i = 0; i < calls; i++) lines.push(`r${i} = ${call()}`)
  }
  if (draw(6) === 0) lines.push('', 'faults 1')
  const text = `${lines.join('\n')}\n`
  return { seed, design: pick(draw, DESIGNS).id, text }
}
