/** Each limit of the machine is met by a message of ours: never an errno, a finding or silence. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { kzalloc, onStack } from '../../src/machine/alloc.js'
import { choose, until, untilElement, untilNot } from '../../src/machine/effects.js'
import { LimitError, mark, takeMarks } from '../../src/machine/fault.js'
import { fn } from '../../src/machine/fn.js'
import { Mutex } from '../../src/machine/locks.js'
import { boot, load, MAX_VARIABLES, type TaskProgram } from '../../src/machine/machine.js'
import { kfreeRcu, rcuReadLock } from '../../src/machine/rcu.js'
import {
  addressOf,
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
  lockClassCount,
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

/** Do something until it is refused; how often it went well, and what was said. */
function until1st(act: (i: number) => unknown): [times: number, message: string] {
  for (let i = 0; ; i++) {
    try {
      act(i)
    } catch (error) {
      assert.ok(error instanceof LimitError, String(error))
      return [i, error.message]
    }
  }
}

describe('what an effect has room for', () => {
  const refused: readonly (readonly [name: string, act: () => unknown])[] = [
    ['until', () => until(thing, 'value', 64)],
    ['until, negative', () => until(thing, 'value', -1)],
    ['untilNot', () => untilNot(thing, 'value', 64)],
    ['untilElement', () => untilElement(thing, 'items', 0, 64)],
    ['choose(0)', () => choose(0)],
    ['choose(64)', () => choose(64)],
    ['choose(65)', () => choose(65)],
    ['choose(1.5)', () => choose(1.5)],
  ]
  for (const [name, act] of refused) {
    test(name, () => assert.throws(act, LimitError))
  }
  test('63 is the largest', () => {
    until(thing, 'value', 63)
    choose(63)
  })
})

describe('numbers that do not fit their field', () => {
  test('more than 32 bits', () => {
    assert.throws(() => {
      thing.value = 2 ** 31
    }, LimitError)
  })
  test('NaN', () => {
    assert.throws(() => {
      thing.offset = Number.NaN
    }, LimitError)
  })
  test('an element that is not there', () => {
    assert.throws(() => thing.items.set(3, 0), LimitError)
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
    const kernels = lockClassCount()
    assert.equal(until1st((i) => lockClass(`limit ${i}`))[0], MAX_LOCK_CLASSES - kernels)
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
    assert.throws(() => load({ tasks, faults: 0 }), LimitError)
  })
  test('variables', () => {
    assert.throws(() => load({ tasks: [task('a', MAX_VARIABLES)], faults: 0 }), LimitError)
  })
})

test('a hundred marks are all told', () => {
  takeMarks()
  const names = Array.from({ length: 100 }, (_, i) => `limit-${i}`)
  for (const name of names) mark(name)
  assert.deepEqual(takeMarks(), names)
})

describe('structs', () => {
  test('a name is given once', () => {
    assert.throws(() => struct<Obj>('LimitThing', {}), LimitError)
  })
  test('a struct that the arena has no room for', () => {
    struct<Obj & { items: Vec }>('LimitHuge', { items: vec(1 << 12) }, { capacity: 1 << 12 })
    assert.throws(placeStructs, LimitError)
  })
})
