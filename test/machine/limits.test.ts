/**
 * Each limit of the machine and of the kernel on it is met by a message of ours: never an errno, a
 * finding or silence. At the end the sources are asked which limits there are: none is left out.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, beforeEach, describe, test } from 'node:test'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { Cell } from '../../src/cell/cell.js'
import { Judges, MAX_JUDGES } from '../../src/cell/judges.js'
import type { Design } from '../../src/designs/design.js'
import { designNamed } from '../../src/hosts/index.js'
import { snpLeakPages } from '../../src/hosts/snp/leaked.js'
import { NR_OPEN } from '../../src/kernel/include/fs.js'
import { MEMSLOT_PLACES } from '../../src/kernel/include/kvm.js'
import { Folio } from '../../src/kernel/include/mm.js'
import { readScenario } from '../../src/litmus/scenario.js'
import { kzalloc, onStack } from '../../src/machine/alloc.js'
import { Alone } from '../../src/machine/alone.js'
import { choose, until, untilElement, untilNot } from '../../src/machine/effects.js'
import { LimitError, mark, takeMarks } from '../../src/machine/fault.js'
import { type FnTag, fn, type Kernel } from '../../src/machine/fn.js'
import { saveBig, saveNum, saveWide } from '../../src/machine/frames.js'
import { Mutex } from '../../src/machine/locks.js'
import { boot, load, MAX_VARIABLES, step, type TaskProgram } from '../../src/machine/machine.js'
import { kfreeRcu, rcuReadLock } from '../../src/machine/rcu.js'
import {
  addressOf,
  MAX_STRUCTS,
  num,
  type Obj,
  placeStructs,
  type Struct,
  struct,
  type Vec,
  vec,
  wide,
} from '../../src/machine/struct.js'
import {
  holdLock,
  lockClass,
  MAX_HELD,
  MAX_LOCK_CLASSES,
  MAX_TASK_WORKS,
  MAX_TASKS,
  setCurrent,
  taskNumber,
} from '../../src/machine/task.js'
import { queueWork, taskWorkAdd } from '../../src/machine/work.js'

interface LimitThing extends Obj {
  value: number
  offset: number
  items: Vec
}
const LimitThing: Struct<LimitThing> = struct<LimitThing>(
  'LimitThing',
  { value: num(), offset: wide(), items: vec(3) },
  { capacity: 64 * MAX_TASKS },
)

let thing: LimitThing

/** Calls itself for ever. */
const callsItself: FnTag & ((n: number) => Kernel<number>) = fn(function* deep(
  n: number,
): Kernel<number> {
  yield choose(1)
  return yield* callsItself(n + 1)
})

const OPERATION = { fn: callsItself, args: [{ value: 0 }], text: 'deep()' }

/** Returns what no register holds. */
const tooLarge = fn(function* too_large(): Kernel<number> {
  return 2 ** 60
})

const nothing = fn(function nothing(): number {
  return 0
})

beforeEach(() => {
  boot('direct', () => {})
  load({ tasks: [task('a'), task('b')], faults: 0 })
  setCurrent(taskNumber(0))
  thing = kzalloc(LimitThing)
})

function task(name: string, variable = 0): TaskProgram {
  return { name, operations: [{ fn: nothing, args: [], variable, text: 'nothing()' }] }
}

/** What was said of every limit that was met. */
const met: string[] = []

function note(error: unknown): string {
  assert.ok(error instanceof LimitError, String(error))
  met.push(error.message)
  return error.message
}

/** Something is refused; returns what is said. */
function refused(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    return note(error)
  }
  return assert.fail('it was not refused')
}

/** Do something until it is refused; how often it went well, and what was said. */
function until1st(act: (i: number) => unknown): [times: number, message: string] {
  for (let i = 0; ; i++) {
    try {
      act(i)
    } catch (error) {
      return [i, note(error)]
    }
  }
}

describe('what an effect has room for', () => {
  const tooMuch: readonly (readonly [name: string, act: () => unknown])[] = [
    ['until', () => until(thing, 'value', 64)],
    ['until, negative', () => until(thing, 'value', -1)],
    ['untilNot', () => untilNot(thing, 'value', 64)],
    ['untilElement', () => untilElement(thing, 'items', 0, 64)],
    ['choose(0)', () => choose(0)],
    ['choose(64)', () => choose(64)],
    ['choose(65)', () => choose(65)],
    ['choose(1.5)', () => choose(1.5)],
  ]
  for (const [name, act] of tooMuch) {
    test(name, () => {
      refused(act)
    })
  }
  test('63 is the largest', () => {
    until(thing, 'value', 63)
    choose(63)
  })
})

describe('numbers that do not fit their field', () => {
  test('more than 32 bits', () => {
    refused(() => {
      thing.value = 2 ** 31
    })
  })
  test('NaN', () => {
    refused(() => {
      thing.offset = Number.NaN
    })
  })
  test('an element that is not there', () => {
    refused(() => thing.items.set(3, 0))
  })
})

describe('how much there is room for', () => {
  test('objects of a struct', () => {
    assert.deepEqual(
      until1st(() => kzalloc(LimitThing)),
      [63, 'a task can have 64 objects of struct LimitThing'],
    )
  })
  test('objects on a stack', () => {
    assert.equal(until1st(() => onStack(LimitThing))[0], 63)
  })
  test('locks that a task holds', () => {
    const lock = kzalloc(Mutex)
    assert.equal(until1st(() => holdLock(addressOf(lock, 'owner'), 1, false))[0], MAX_HELD)
  })
  test('classes of locks', () => {
    const names = Array.from({ length: MAX_LOCK_CLASSES + 1 }, (_, i) => `limit ${i}`)
    boot('direct', () => {}, names.slice(0, 2))
    assert.equal(lockClass('limit 1'), lockClass('limit 0') + 1)
    refused(() => boot('direct', () => {}, names))
  })
  test('a lock of a class that nobody has declared', () => {
    refused(() => lockClass('limit'))
  })
  test('words of a stack', () => {
    boot('lowered', () => {})
    load({ tasks: [{ name: 'deep', operations: [OPERATION] }], faults: 0 })
    until1st(() => step(0, 0))
  })
  test('bits of what a call returns', () => {
    const operation = { fn: tooLarge, args: [], text: 'too_large()' }
    load({ tasks: [{ name: 'a', operations: [operation] }], faults: 0 })
    refused(() => step(0, 0))
  })
  test('bits of a local', () => {
    refused(() => saveNum(thing.at + 1, 2 ** 31))
    refused(() => saveWide(thing.at + 1, 2 ** 53))
    refused(() => saveBig(thing.at + 1, 1n << 96n))
  })
  test('judges', () => {
    const judge = { name: 'limit', invariant: '', kinds: [] }
    refused(() => new Judges(Array.from({ length: MAX_JUDGES + 1 }, () => judge)))
  })
  test('machines in a thread', () => {
    const first = new Alone(nothing)
    boot('direct', () => {})
    refused(() => first.call(nothing))
  })
  test('judges that have left', () => {
    const { scenario } = builtInScenarios()[0]!
    const cell = new Cell(scenario, design('upm'))
    const run = cell.begin('lowered')
    cell.judges.detach()
    refused(() => run.take(0, 0))
  })
  test('task works', () => {
    assert.equal(until1st(() => taskWorkAdd(thing))[0], MAX_TASK_WORKS)
  })
  test('work items', () => {
    assert.equal(until1st(() => queueWork(thing))[0], 16)
  })
  test('RCU callbacks', () => {
    setCurrent(taskNumber(1))
    rcuReadLock()
    setCurrent(taskNumber(0))
    assert.equal(until1st(() => kfreeRcu(kzalloc(LimitThing)))[0], 16)
  })
  test('tasks', () => {
    const tasks = Array.from({ length: MAX_TASKS + 1 }, (_, i) => task(`t${i}`))
    refused(() => load({ tasks, faults: 0 }))
  })
  test('variables', () => {
    refused(() => load({ tasks: [task('a', MAX_VARIABLES)], faults: 0 }))
  })
})

test('a hundred marks are all told', () => {
  takeMarks()
  const names = Array.from({ length: 100 }, (_, i) => `limit-${i}`)
  for (const name of names) mark(name)
  assert.deepEqual(takeMarks(), names)
})

function design(id: string): Design {
  return designNamed(id)!
}

/** A scenario with this set-up. */
function cellOf(on: Design, ...lines: readonly string[]): Cell {
  const text = ['litmus test/limit', '"A limit."', 'setup', ...lines.map((l) => `  ${l}`)]
  const scenario = readScenario(`${text.join('\n')}\n\ntask t\n  memfd_create()\n`, {
    designs: [],
    findings: [],
  })
  return new Cell(scenario, on)
}

/** Set a scenario up; returns what is said against it. */
function setUp(on: Design, ...lines: readonly string[]): string {
  return refused(() => cellOf(on, ...lines).boot('lowered'))
}

function times(n: number, line: (i: number) => string): string[] {
  return Array.from({ length: n }, (_, i) => line(i))
}

const VM = 'vm = kvm_create_vm(SW_PROTECTED)'

describe('how much room there is in the kernel', () => {
  // Apart from each other: to upm, what ends where another binding begins overlaps it.
  const bind = (i: number): string =>
    `bind(vm, slot=${i}, gpa=${2 * i}P, size=1P, fd=fd, offset=${2 * i}P)`
  for (const id of ['upm', 'gmem-6.18']) {
    test(`memslots of a VM, ${id}`, () => {
      setUp(
        design(id),
        VM,
        `fd = private_memory(vm, ${2 * MEMSLOT_PLACES + 2}P)`,
        ...times(MEMSLOT_PLACES + 1, bind),
      )
    })
  }
  test('descriptors', () => {
    const dups = times(NR_OPEN, () => 'dup(f)')
    const said = setUp(design('upm'), 'f = memfd_create()', ...dups)
    assert.match(said, new RegExp(`${NR_OPEN} descriptors`))
  })
  test('VMs', () => {
    const said = setUp(design('upm'), ...times(9, (i) => `vm${i} = kvm_create_vm(SW_PROTECTED)`))
    assert.match(said, /objects of struct Kvm$/)
  })
  test('page frames', () => {
    setUp(design('upm'), 'f = memfd_create()', 'ftruncate(f, 600P)', 'fallocate(f, 0, 0, 600P)')
  })
  test('pages that KVM maps', () => {
    const said = setUp(
      design('gmem-6.18'),
      VM,
      'fd = private_memory(vm, 65P)',
      'bind(vm, slot=0, gpa=0, size=65P, fd=fd, offset=0)',
      'set_attributes(vm, gpa=0, size=65P, PRIVATE)',
      'kvm_pre_fault_memory(vm, gpa=0, size=65P)',
    )
    assert.match(said, /objects of struct/)
  })
  test('memory that processes share', () => {
    setUp(design('upm'), 'mmap(-1, PROT_READ, MAP_SHARED|MAP_ANONYMOUS, 1P)')
  })
  test('swap', () => {
    setUp(design('upm'), 'swapon(66P)')
  })
  test("bits of a guest's physical address", () => {
    setUp(design('upm'), VM, 'guest_write(vm, gpa=4096T, 1)')
  })
  test('pages of one request of the launch, in the tree of 2023', () => {
    setUp(
      design('upm@snp'),
      'vm = confidential_vm()',
      'fd = private_memory(vm, 5P)',
      'bind(vm, slot=0, gpa=0, size=5P, fd=fd, offset=0)',
      'launch_update(vm, gpa=0, size=5P)',
    )
  })
  test('pages of a scratch area that a guest has outside of its GHCB', () => {
    setUp(
      design('gmem-6.18@snp'),
      'vm = confidential_vm()',
      'fd = private_memory(vm, 1P)',
      'bind(vm, slot=0, gpa=0, size=1P, fd=fd, offset=0)',
      'launch(vm)',
      'guest_psc(vm, ghcb=0, scratch=6000, length=4096)',
    )
  })
  test('a vCPU that its VMM has left alone with a request', () => {
    setUp(
      design('gmem-6.18@snp'),
      'vm = confidential_vm()',
      'fd = private_memory(vm, 2P)',
      'bind(vm, slot=0, gpa=0, size=2P, fd=fd, offset=0)',
      'set_attributes(vm, gpa=0, size=2P, PRIVATE)',
      'launch(vm)',
      'guest_accept(vm, gpa=0)',
      'guest_convert(vm, gpa=0, 0)',
      'guest_write(vm, gpa=0x80e, 0x20)',
      'guest_psc(vm, ghcb=0, scratch=0x800, length=0, answered=0)',
      'guest_read(vm, gpa=0)',
    )
  })
  test('pages that a host has lost', () => {
    cellOf(design('gmem-6.18@snp'), 'vm = confidential_vm()').boot('lowered')
    setCurrent(taskNumber(0))
    const [lost] = until1st(() => {
      const steps = snpLeakPages(kzalloc(Folio))
      while (steps.next(0).done !== true);
    })
    assert.equal(lost, 8)
  })
  test('failures that VMs are told of', () => {
    const said = setUp(
      design('upm-aops-repaired'),
      VM,
      'fd = private_memory(vm, 17P)',
      'bind(vm, slot=0, gpa=0, size=17P, fd=fd, offset=0)',
      'fallocate(fd, KEEP_SIZE, 0, 17P)',
      'drain_lru()',
      ...times(17, (i) => `memory_failure(fd, page=${i})`),
    )
    assert.match(said, /reports of failures$/)
  })
  test('pages of a guest_memfd that are converted in place', () => {
    const said = setUp(
      design('gmem-convert'),
      'vm = confidential_vm()',
      'fd = kvm_create_guest_memfd(vm, 17P, GUEST_MEMFD_FLAG_MMAP)',
      'set_attributes2(fd, 0, 17P, PRIVATE)',
    )
    assert.match(said, /its first 16 pages here$/)
  })
  for (const host of ['snp', 'tdx-6.19', 'pkvm-7.1']) {
    const guest = (...lines: string[]): string =>
      setUp(
        design(`gmem-6.18@${host}`),
        'vm = confidential_vm()',
        'fd = private_memory(vm, 17P)',
        'bind(vm, slot=0, gpa=0, size=17P, fd=fd, offset=0)',
        'set_attributes(vm, gpa=0, size=17P, PRIVATE)',
        ...lines,
      )
    test(`entries of a guest's table on ${host}`, () => {
      assert.match(guest('launch(vm)', 'guest_write(vm, gpa=16P, 1)'), /gfns below 16$/)
    })
    test(`frames that ${host} knows`, () => {
      const said = guest(
        'f = memfd_create()',
        'ftruncate(f, 64P)',
        'fallocate(f, 0, 0, 64P)',
        'launch(vm)',
        'guest_accept(vm, gpa=0)',
        'guest_write(vm, gpa=0, 1)',
      )
      assert.match(said, /pfns below 512$/)
    })
  }
})

describe('structs', () => {
  test('their number', () => {
    for (let i = 0; i <= MAX_STRUCTS; i++) struct<Obj>(`LimitStruct${i}`, {}, { capacity: 1 })
    refused(placeStructs)
  })
  test('a name is given once', () => {
    refused(() => struct<Obj>('LimitThing', {}))
  })
  test('a struct that the arena has no room for', () => {
    struct<Obj & { items: Vec }>('LimitHuge', { items: vec(1 << 12) }, { capacity: 1 << 12 })
    refused(placeStructs)
  })
  test('fields of all of them', () => {
    const many = Object.fromEntries(times(2100, (i) => `f${i}`).map((name) => [name, num()]))
    refused(() => struct<Obj>('LimitFields', many))
  })
})

test('what a model of the kernel or of a host has no room for is a limit, no bug', () => {
  const wrong = ['kernel', 'user', 'hosts/snp', 'hosts/tdx', 'hosts/pkvm'].filter((folder) =>
    textsIn(new URL(`../../../src/${folder}/`, import.meta.url)).some((text) =>
      text.includes('throw new Error('),
    ),
  )
  assert.deepEqual(wrong, [])
})

function textsIn(folder: URL): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return textsIn(new URL(`${entry.name}/`, folder))
    return entry.name.endsWith('.ts') ? [readFileSync(new URL(entry.name, folder), 'utf8')] : []
  })
}

/** Messages in the sources, with what is filled in left open. */
function limitsIn(folder: URL): RegExp[] {
  return textsIn(folder).flatMap((text) => {
    const found = text.matchAll(/new LimitError\(\s*(['`])(.*?)\1/gs)
    return [...found].map(([, , message]) => {
      const parts = (message as string).split(/\$\{[^}]*\}/)
      const open = parts.map((p) => p.replace(/[.*+?^$()[\]\\|{}]/g, '\\$&')).join('.*')
      return new RegExp(`^${open}$`, 's')
    })
  })
}

after(() => {
  const limits = limitsIn(new URL('../../../src/', import.meta.url))
  assert.ok(limits.length > 20)
  assert.deepEqual(
    limits.filter((limit) => !met.some((message) => limit.test(message))),
    [],
  )
})
