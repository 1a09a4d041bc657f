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
import { write } from '../../src/machine/effects.js'
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

/** A task that stands before its write. */
function ready(): void {
  boot('lowered', () => constructAt(Counter as unknown as Struct<Obj>, Counter.base, 0))
  const operation = { fn: increment, args: [], text: 'increment()' }
  load({ tasks: [{ name: 'task', operations: [operation] }], faults: 0 })
  step(0, 0)
}

/** Let the task step, keep the step, and take it back; what it led to. */
function learn(memo: Memo): { lanes: number[]; words: Map<number, number> } {
  const mark = undoMark()
  memo.listen(0, 0)
  const { dirty } = step(0, 0)
  memo.keep(memo.heard(), mark, dirty)
  const words = new Map(writtenSince(mark).map((at) => [at, mem[at] as number]))
  const lanes = [fingerprintLo(), fingerprintHi()]
  undoTo(mark)
  return { lanes, words }
}

test('a step is known by what it has read, and changes the same words', () => {
  ready()
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
  ready()
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

test('what has no room is not kept', () => {
  ready()
  const memo = new Memo(0)
  learn(memo)
  assert.equal(memo.recall(0, 0), 0)
})
