/**
 * Small kernel functions for the engine's self-test: every kind of lock, waiting, RCU, lifetimes,
 * choices and faults, over a few shared cells. Each is a form that kernel code has.
 */
import { kfree, kzalloc } from '../../src/machine/alloc.js'
import { choose, inject, read, rmw, until, untilNot, write } from '../../src/machine/effects.js'
import { type FnTag, fn, type Kernel } from '../../src/machine/fn.js'
import {
  downRead,
  downReadTrylock,
  downWrite,
  initRwsem,
  type Mutex,
  mutexInit,
  mutexLock,
  mutexUnlock,
  type RwLock,
  type RwSemaphore,
  readLock,
  readUnlock,
  rwLockInit,
  type Spinlock,
  spinLock,
  spinLockInit,
  spinUnlock,
  upRead,
  upWrite,
  writeLock,
  writeUnlock,
} from '../../src/machine/locks.js'
import {
  kfreeRcu,
  rcuReadLock,
  rcuReadUnlock,
  type SrcuStruct,
  srcuReadLock,
  srcuReadUnlock,
  synchronizeRcu,
  synchronizeSrcu,
} from '../../src/machine/rcu.js'
import {
  constructAt,
  destroyAt,
  embed,
  num,
  type Obj,
  ptr,
  type Struct,
  struct,
} from '../../src/machine/struct.js'
import { current, MAX_TASKS } from '../../src/machine/task.js'
import {
  finishWait,
  prepareToWait,
  schedule,
  type WaitQueueHead,
  wakeUpAll,
} from '../../src/machine/wait.js'

/** An object that comes and goes. */
export interface Victim extends Obj {
  value: number
}
export const Victim: Struct<Victim> = struct<Victim>(
  'Victim',
  { value: num() },
  { capacity: 16 * MAX_TASKS },
)

export interface Bench extends Obj {
  a: number
  b: number
  /** Only under a lock. */
  guarded: number
  victim: Victim | null
  spin: Spinlock
  other: Spinlock
  mutex: Mutex
  rw: RwLock
  sem: RwSemaphore
  srcu: SrcuStruct
  wq: WaitQueueHead
}
export const Bench: Struct<Bench> = struct<Bench>(
  'Bench',
  {
    a: num(),
    b: num(),
    guarded: num(),
    victim: ptr('Victim'),
    spin: embed('Spinlock'),
    other: embed('Spinlock'),
    mutex: embed('Mutex'),
    rw: embed('RwLock'),
    sem: embed('RwSemaphore'),
    srcu: embed('SrcuStruct'),
    wq: embed('WaitQueueHead'),
  },
  { capacity: 1 },
)

function bench(): Bench {
  return Bench.at(Bench.base) as Bench
}

/** Slots of every task's pool that are in quarantine when a program begins. */
const QUARANTINED = 8

/** Classes of the locks on the bench. */
export const BENCH_LOCKS = ['spin', 'other', 'mutex', 'rw', 'sem']

/** Bring the bench to its initial state, with a victim that task 0 has allocated. */
export function setUpBench(): void {
  constructAt(Bench as unknown as Struct<Obj>, Bench.base, 0)
  spinLockInit(bench().spin, 'spin')
  spinLockInit(bench().other, 'other')
  mutexInit(bench().mutex, 'mutex')
  rwLockInit(bench().rw, 'rw')
  initRwsem(bench().sem, 'sem')
  const slab = Victim as unknown as Struct<Obj>
  for (let i = 0; i < QUARANTINED * MAX_TASKS; i++) {
    constructAt(slab, slab.base + i * slab.words, 0)
    destroyAt(slab, slab.base + i * slab.words)
  }
  bench().victim = kzalloc(Victim)
}

export const setA = fn(function* set_a(v: number): Kernel<void> {
  yield write(bench(), 'a')
  bench().a = v
})

export const setB = fn(function* set_b(v: number): Kernel<void> {
  yield write(bench(), 'b')
  bench().b = v
})

const getA = fn(function* get_a(): Kernel<number> {
  yield read(bench(), 'a')
  return bench().a
})

const addA = fn(function* add_a(n: number): Kernel<number> {
  yield rmw(bench(), 'a')
  bench().a = (bench().a + n) % 4
  return bench().a
})

const copyAToB = fn(function* copy_a_to_b(): Kernel<void> {
  yield read(bench(), 'a')
  const seen = bench().a
  yield write(bench(), 'b')
  bench().b = seen
})

const bumpIfOdd = fn(function* bump_if_odd(): Kernel<number> {
  yield read(bench(), 'b')
  if (bench().b % 2 === 0) return 0
  return yield* addA(1)
})

const awaitA = fn(function* await_a(v: number): Kernel<void> {
  yield until(bench(), 'a', v)
})

const awaitNotB = fn(function* await_not_b(v: number): Kernel<void> {
  yield untilNot(bench(), 'b', v)
})

const pick = fn(function* pick(n: number): Kernel<void> {
  const chosen = (yield choose(n + 2)) as number
  yield write(bench(), 'a')
  bench().a = chosen
})

const mayFail = fn(function* may_fail(): Kernel<number> {
  if ((yield inject()) !== 0) return -1
  return 0
})

const touchGuarded = fn(function* touch_guarded(): Kernel<void> {
  yield rmw(bench(), 'guarded')
  bench().guarded = (bench().guarded + 1) % 3
})

const spinSection = fn(function* spin_section(v: number): Kernel<number> {
  yield* spinLock(bench().spin)
  const old = bench().guarded
  bench().guarded = v
  spinUnlock(bench().spin)
  return old
})

const lockBoth = fn(function* lock_both(one: Spinlock, two: Spinlock): Kernel<void> {
  yield* spinLock(one)
  yield* spinLock(two)
  bench().guarded = (bench().guarded + 1) % 3
  spinUnlock(two)
  spinUnlock(one)
})

const nested = fn(function* nested(order: number): Kernel<void> {
  if (order === 0) yield* lockBoth(bench().spin, bench().other)
  else yield* lockBoth(bench().other, bench().spin)
})

const takeSpin = fn(function* take_spin(): Kernel<void> {
  yield* spinLock(bench().spin)
})
const dropSpin = fn(function* drop_spin(): Kernel<void> {
  yield write(bench(), 'guarded')
  spinUnlock(bench().spin)
})
const takeMutex = fn(function* take_mutex(): Kernel<void> {
  yield* mutexLock(bench().mutex)
})
const dropMutex = fn(function* drop_mutex(): Kernel<void> {
  yield write(bench().mutex, 'owner')
  mutexUnlock(bench().mutex)
})
const takeRead = fn(function* take_read(): Kernel<void> {
  yield* readLock(bench().rw)
})
const dropRead = fn(function* drop_read(): Kernel<void> {
  yield write(bench().rw, 'readers')
  readUnlock(bench().rw)
})
const takeWrite = fn(function* take_write(): Kernel<void> {
  yield* writeLock(bench().rw)
})
const dropWrite = fn(function* drop_write(): Kernel<void> {
  yield write(bench().rw, 'writer')
  writeUnlock(bench().rw)
})
const semRead = fn(function* sem_read(): Kernel<void> {
  yield* downRead(bench().sem)
})
const semDropRead = fn(function* sem_drop_read(): Kernel<void> {
  yield* upRead(bench().sem)
})
const semWrite = fn(function* sem_write(): Kernel<void> {
  yield* downWrite(bench().sem)
})
const semDropWrite = fn(function* sem_drop_write(): Kernel<void> {
  yield* upWrite(bench().sem)
})
const trySection = fn(function* try_section(): Kernel<number> {
  if (!(yield* downReadTrylock(bench().sem))) return -1
  yield* touchGuarded()
  yield* upRead(bench().sem)
  return 0
})

const lookUpUnderRcu = fn(function* look_up_under_rcu(): Kernel<number> {
  rcuReadLock()
  yield read(bench(), 'victim')
  const victim = bench().victim
  let value = -1
  if (victim !== null) {
    yield read(victim, 'value')
    value = victim.value
  }
  rcuReadUnlock()
  return value
})

const lookUpNaked = fn(function* look_up_naked(): Kernel<number> {
  yield read(bench(), 'victim')
  const victim = bench().victim
  yield read(bench(), 'b')
  return victim!.value
})

const markVictim = fn(function* mark_victim(v: number): Kernel<void> {
  yield read(bench(), 'victim')
  const victim = bench().victim
  if (victim === null) return
  yield write(victim, 'value')
  victim.value = v
})

const retire = fn(function* retire(): Kernel<void> {
  yield rmw(bench(), 'victim')
  const victim = bench().victim
  bench().victim = null
  if (victim !== null) kfreeRcu(victim)
})

const retireAndWait = fn(function* retire_and_wait(): Kernel<void> {
  yield rmw(bench(), 'victim')
  const victim = bench().victim
  bench().victim = null
  yield* synchronizeRcu()
  if (victim !== null) kfree(victim)
})

const freeAtOnce = fn(function* free_at_once(): Kernel<void> {
  yield read(bench(), 'victim')
  const victim = bench().victim
  if (victim === null) return
  yield write(victim, 'value')
  kfree(victim)
})

const publish = fn(function* publish(v: number): Kernel<void> {
  yield read(bench(), 'b')
  const victim = kzalloc(Victim)
  victim.value = v
  yield write(bench(), 'victim')
  bench().victim = victim
})

const srcuSection = fn(function* srcu_section(): Kernel<number> {
  srcuReadLock(bench().srcu)
  yield read(bench(), 'a')
  const value = bench().a
  yield read(bench(), 'b')
  srcuReadUnlock(bench().srcu)
  return value
})

const waitForReaders = fn(function* wait_for_readers(): Kernel<void> {
  yield* synchronizeSrcu(bench().srcu)
})

/** Looks again behind prepare_to_wait(), as it must. */
const sleepUntilA = fn(function* sleep_until_a(): Kernel<void> {
  yield rmw(bench().wq, 'waiting')
  prepareToWait(bench().wq)
  yield read(bench(), 'a')
  if (bench().a === 0) yield* schedule(bench().wq)
  else finishWait(bench().wq)
})

/** Looks before prepare_to_wait(): a wake-up can be lost. */
const sleepCarelessly = fn(function* sleep_carelessly(): Kernel<void> {
  yield read(bench(), 'a')
  if (bench().a !== 0) return
  yield rmw(bench().wq, 'waiting')
  prepareToWait(bench().wq)
  yield* schedule(bench().wq)
})

const setAndWake = fn(function* set_and_wake(): Kernel<void> {
  yield* setA(1)
  yield* wakeUpAll(bench().wq)
})

const nothing = fn(function* nothing(): Kernel<number> {
  return current().number
})

/** One call, or one that opens a section and the one that closes it. */
export interface Item {
  readonly open: FnTag
  readonly close?: FnTag
  /** The argument is below this; 0 for no argument. */
  readonly range: number
}

const item = (open: FnTag, range = 0, close?: FnTag): Item =>
  close === undefined ? { open, range } : { open, range, close }

/** What random programs are made of. */
export const REPERTOIRE: readonly Item[] = [
  item(setA, 3),
  item(setB, 3),
  item(getA),
  item(addA, 3),
  item(copyAToB),
  item(bumpIfOdd),
  item(awaitA, 2),
  item(awaitNotB, 2),
  item(pick, 3),
  item(mayFail),
  item(touchGuarded),
  item(spinSection, 3),
  item(nested, 2),
  item(takeSpin, 0, dropSpin),
  item(takeMutex, 0, dropMutex),
  item(takeRead, 0, dropRead),
  item(takeWrite, 0, dropWrite),
  item(semRead, 0, semDropRead),
  item(semWrite, 0, semDropWrite),
  item(trySection),
  item(lookUpUnderRcu),
  item(lookUpNaked),
  item(markVictim, 3),
  item(retire),
  item(retireAndWait),
  item(freeAtOnce),
  item(publish, 3),
  item(srcuSection),
  item(waitForReaders),
  item(sleepUntilA),
  item(sleepCarelessly),
  item(setAndWake),
  item(nothing),
]
