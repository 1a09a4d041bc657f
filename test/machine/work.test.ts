import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kfree, kzalloc } from '../../src/machine/alloc.js'
import { rmw } from '../../src/machine/effects.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import {
  allEnded,
  boot,
  canStep,
  hasEnded,
  load,
  type Mode,
  step,
  variable,
} from '../../src/machine/machine.js'
import { isAlive, num, type Obj, type Struct, struct } from '../../src/machine/struct.js'
import {
  finishWait,
  prepareToWait,
  schedule,
  WaitQueueHead,
  wakeUpAll,
} from '../../src/machine/wait.js'
import { queueWork, takeWork, taskWorkAdd, taskWorkTake } from '../../src/machine/work.js'

interface Item extends Obj {
  value: number
}
const Item: Struct<Item> = struct<Item>('Item', { value: num() })

let item: Item
let wq: WaitQueueHead

const worker = fn(function* kworker(): Kernel<void> {
  for (;;) {
    const work = (yield* takeWork()) as Item
    work.value += 1
  }
})

const queueing = fn(function* queueing(): Kernel<number> {
  yield rmw(item, 'value')
  queueWork(item)
  return 7
})

const withTaskWork = fn(function* with_task_work(): Kernel<number> {
  yield rmw(item, 'value')
  taskWorkAdd(item)
  return 5
})

const runTaskWork = fn(function* run_task_work(): Kernel<void> {
  yield rmw(item, 'value')
  kfree(taskWorkTake(0))
})

const sleeper = fn(function* sleeper(): Kernel<void> {
  yield rmw(wq, 'waiting')
  prepareToWait(wq)
  yield rmw(item, 'value')
  if (item.value === 0) yield* schedule(wq)
  finishWait(wq)
})

/** Looks before it queues itself: the wake-up in between is lost. */
const carelessSleeper = fn(function* careless_sleeper(): Kernel<void> {
  yield rmw(item, 'value')
  if (item.value !== 0) return
  yield rmw(wq, 'waiting')
  prepareToWait(wq)
  yield* schedule(wq)
  finishWait(wq)
})

const waker = fn(function* waker(): Kernel<void> {
  yield rmw(item, 'value')
  item.value = 1
  yield* wakeUpAll(wq)
})

function start(mode: Mode, tasks: { fn: typeof worker; daemon?: boolean }[]): void {
  boot(mode, () => {
    item = kzalloc(Item)
    wq = kzalloc(WaitQueueHead)
  })
  load({
    faults: 0,
    exitWork: runTaskWork,
    tasks: tasks.map((t, i) => ({
      name: `t${i}`,
      daemon: t.daemon ?? false,
      operations: [{ fn: t.fn, args: [], text: t.fn.cName, variable: i }],
    })),
  })
}

function run(n: number): void {
  while (!hasEnded(n) && canStep(n)) step(n, 0)
}

for (const mode of ['direct', 'lowered'] as const) {
  test(`a work item runs in the kworker, whose waiting keeps nobody from ending (${mode})`, () => {
    start(mode, [{ fn: queueing as never }, { fn: worker, daemon: true }])
    run(1)
    assert.equal(item.value, 0)
    run(0)
    assert.equal(allEnded(), true)
    run(1)
    assert.equal(item.value, 1)
  })

  test(`task work runs after the call has returned and before the task ends (${mode})`, () => {
    start(mode, [{ fn: withTaskWork as never }])
    step(0, 0)
    step(0, 0)
    assert.deepEqual([variable(0), hasEnded(0), isAlive(Item, item)], [5, false, true])
    run(0)
    assert.deepEqual([hasEnded(0), isAlive(Item, item)], [true, false])
  })

  test(`a sleeper that looks after it has queued itself is always woken (${mode})`, () => {
    for (const before of [1, 2, 3, 4]) {
      start(mode, [{ fn: sleeper }, { fn: waker }])
      for (let i = 0; i < before; i++) if (canStep(0)) step(0, 0)
      run(1)
      run(0)
      assert.equal(hasEnded(0), true, `waker after ${before} steps`)
    }
  })

  test(`one that looks before can sleep for ever (${mode})`, () => {
    start(mode, [{ fn: carelessSleeper }, { fn: waker }])
    step(0, 0)
    step(0, 0)
    run(1)
    run(0)
    assert.equal(hasEnded(0), false)
  })
}
