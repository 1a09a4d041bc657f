/** A step that is repeated from memory does what its code has done. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  fingerprintHi,
  fingerprintLo,
  mem,
  undoMark,
  undoTo,
  writtenSince,
} from '../../src/machine/arena.js'
import { until, write } from '../../src/machine/effects.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import { boot, load, step } from '../../src/machine/machine.js'
import { Memo } from '../../src/machine/memo.js'
import { constructAt, num, type Obj, type Struct, struct } from '../../src/machine/struct.js'

interface Counter extends Obj {
  value: number
  other: number
}

const Counter: Struct<Counter> = struct<Counter>(
  'MemoCounter',
  { value: num(), other: num() },
  { capacity: 1 },
)

function counter(): Counter {
  return Counter.at(Counter.base) as Counter
}

const increment = fn(function* increment(): Kernel<void> {
  yield write(counter(), 'value')
  counter().value++
})

/** Looks at the value before it goes on, and never again. */
const setOtherWhenZero = fn(function* set_other_when_zero(): Kernel<void> {
  yield until(counter(), 'value', 0)
  counter().other = 1
})

/** A task for each body, before its first yield. */
function ready(...bodies: (typeof increment)[]): void {
  boot('lowered', () => constructAt(Counter as unknown as Struct<Obj>, Counter.base, 0))
  const tasks = bodies.map((body, i) => {
    const operation = { fn: body, args: [], text: 'body()' }
    return { name: `task ${i}`, operations: [operation] }
  })
  load({ tasks, faults: 0 })
  for (const i of bodies.keys()) step(i, 0)
}

/** Let a task step, keep the step, and take it back; what it led to. */
function learn(memo: Memo, task = 0): { lanes: number[]; words: Map<number, number> } {
  const mark = undoMark()
  memo.listen(task, 0)
  const { dirty } = step(task, 0)
  memo.keep(memo.heard(), mark, dirty)
  const words = new Map(writtenSince(mark).map((at) => [at, mem[at] as number]))
  const lanes = [fingerprintLo(), fingerprintHi()]
  undoTo(mark)
  return { lanes, words }
}

test('a step is known by what it has read, and changes the same words', () => {
  ready(increment)
  const memo = new Memo()
  assert.equal(memo.recall(0, 0), 0)
  const { lanes, words } = learn(memo)
  const deed = memo.recall(0, 0)
  assert.notEqual(deed, 0)
  const lo = fingerprintLo() ^ memo.changeLo(deed)
  const hi = fingerprintHi() ^ memo.changeHi(deed)
  assert.deepEqual([lo, hi], lanes)
  const mark = undoMark()
  memo.perform(deed, lo, hi)
  assert.deepEqual(new Map(writtenSince(mark).map((at) => [at, mem[at] as number])), words)
  assert.equal(counter().value, 1)
  undoTo(mark)
  assert.equal(counter().value, 0)
})

test('another value of what it has read makes it another step; of anything else, the same', () => {
  ready(increment)
  const memo = new Memo()
  learn(memo)
  const deed = memo.recall(0, 0)
  counter().other = 7
  assert.equal(memo.recall(0, 0), deed)
  counter().value = 5
  assert.equal(memo.recall(0, 0), 0)
  learn(memo)
  assert.notEqual(memo.recall(0, 0), deed)
  counter().value = 0
  assert.equal(memo.recall(0, 0), deed)
})

test('a step depends on what lets it be taken, too', () => {
  ready(increment, setOtherWhenZero)
  const memo = new Memo()
  learn(memo, 0)
  learn(memo, 1)
  const [writer, waiter] = [memo.recall(0, 0), memo.recall(1, 0)]
  assert.ok(memo.touches(writer, waiter))
  assert.ok(!memo.touches(waiter, writer))
})

test('what has no room is not kept', () => {
  ready(increment)
  const memo = new Memo(0)
  learn(memo)
  assert.equal(memo.recall(0, 0), 0)
})
