import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kzalloc } from '../../src/machine/alloc.js'
import { rmw } from '../../src/machine/effects.js'
import { type FnTag, fn, type Kernel } from '../../src/machine/fn.js'
import {
  downRead,
  downWrite,
  initRwsem,
  Mutex,
  mutexInit,
  mutexLock,
  mutexUnlock,
  RwSemaphore,
  Spinlock,
  spinLock,
  spinLockInit,
  spinUnlock,
  upRead,
  upWrite,
} from '../../src/machine/locks.js'
import { boot, canStep, hasEnded, load, type Program, step } from '../../src/machine/machine.js'
import { kfreeRcu, synchronizeRcu } from '../../src/machine/rcu.js'
import { isAlive, num, type Obj, type Struct, struct } from '../../src/machine/struct.js'

interface Shared extends Obj {
  value: number
}
const Shared: Struct<Shared> = struct<Shared>('TestShared', { value: num() })

const LOCKS = ['test_mutex', 'test_spinlock', 'test_rwsem']

let mutex: Mutex
let spin: Spinlock
let sem: RwSemaphore
let shared: Shared

function start(...fns: (() => Kernel<unknown>)[]): void {
  boot(
    'direct',
    () => {
      mutex = kzalloc(Mutex)
      spin = kzalloc(Spinlock)
      sem = kzalloc(RwSemaphore)
      shared = kzalloc(Shared)
      mutexInit(mutex, 'test_mutex')
      spinLockInit(spin, 'test_spinlock')
      initRwsem(sem, 'test_rwsem')
    },
    LOCKS,
  )
  const declared = new Map(
    [...new Set(fns)].map((f) => [f, fn(f, undefined, undefined, '', f.name)]),
  )
  const program: Program = {
    faults: 0,
    tasks: fns.map((f, i) => ({
      name: `t${i}`,
      operations: [{ fn: declared.get(f) as FnTag, args: [], text: f.name }],
    })),
  }
  load(program)
}

/** Step a task until it can't, or has ended. */
function run(n: number): void {
  while (!hasEnded(n) && canStep(n)) step(n, 0)
}

test('a mutex keeps the second task out until the first lets go', () => {
  function* hold(): Kernel<void> {
    yield* mutexLock(mutex)
    yield rmw(shared, 'value')
    shared.value++
    mutexUnlock(mutex)
  }
  start(hold, hold)
  step(0, 0)
  step(0, 0)
  run(1)
  assert.equal(hasEnded(1), false)
  run(0)
  run(1)
  assert.ok(hasEnded(0) && hasEnded(1))
  assert.equal(shared.value, 2)
})

test('a waiting writer keeps new readers of an rwsem out', () => {
  function* reader(): Kernel<void> {
    yield* downRead(sem)
    yield rmw(shared, 'value')
    yield* upRead(sem)
  }
  function* writer(): Kernel<void> {
    yield* downWrite(sem)
    yield* upWrite(sem)
  }
  start(reader, writer, reader)
  step(0, 0)
  step(0, 0)
  run(1)
  run(2)
  assert.equal(hasEnded(2), false)
  assert.equal(sem.waiting, 1)
  run(0)
  assert.equal(canStep(2), false)
  run(1)
  run(2)
  assert.ok(hasEnded(2))
})

test('synchronize_rcu waits for a task in a spinlock section, not for one that comes later', () => {
  function* holder(): Kernel<void> {
    yield* spinLock(spin)
    yield rmw(shared, 'value')
    spinUnlock(spin)
  }
  function* waiter(): Kernel<void> {
    yield* synchronizeRcu()
  }
  start(holder, waiter, holder)
  step(0, 0)
  step(0, 0)
  step(1, 0)
  run(1)
  assert.equal(hasEnded(1), false)
  step(2, 0)
  run(0)
  run(1)
  assert.ok(hasEnded(1))
})

test('kfree_rcu frees when the last reader of its time has left', () => {
  function* reader(): Kernel<void> {
    yield* spinLock(spin)
    yield rmw(shared, 'value')
    spinUnlock(spin)
  }
  function* free(): Kernel<void> {
    yield rmw(shared, 'value')
    kfreeRcu(shared)
  }
  start(reader, free)
  step(0, 0)
  step(0, 0)
  run(1)
  assert.ok(isAlive(Shared, shared))
  run(0)
  assert.ok(!isAlive(Shared, shared))
})
