/**
 * Locks. The word that an acquisition waits for is the lock itself; who holds what is also kept
 * with the task, for the judges and for the report of a deadlock. Any waiter may win a free lock,
 * with one exception: a writer that waits for an rwsem keeps new readers out, as in Linux. Linux
 * lets a reader pass a writer that waits for a free rwsem; that is here the writer coming later.
 *
 * Releasing a lock that nobody may try is not announced: nothing can come between the last
 * access inside a critical section and its end that would see a difference. The try forms and
 * the locks that have them (mutex, rwsem) announce their release.
 */
import type { Addr } from './arena.js'
import { acquire, acquireExclusive, acquireShared, rmw, write } from './effects.js'
import { remark } from './fault.js'
import { fn, type Kernel } from './fn.js'
import { preemptDisable, preemptEnable } from './rcu.js'
import { addressOf, num, type Obj, type Struct, struct } from './struct.js'
import { current, dropLock, holdLock, holdsLock, lockClass, mightSleep } from './task.js'

export interface Spinlock extends Obj {
  /** Number of the task that holds it + 1, or 0. */
  owner: number
  lockClass: number
}

export const Spinlock: Struct<Spinlock> = struct<Spinlock>(
  'Spinlock',
  { owner: num(), lockClass: num() },
  { role: 'machine', quiet: true },
)

export function spinLockInit(lock: Spinlock, name: string): void {
  lock.lockClass = lockClass(name)
}

/** spin_lock(). The section that follows is atomic and an RCU read-side section. */
export const spinLock = fn(function* spin_lock(lock: Spinlock): Kernel<void> {
  preemptDisable()
  yield acquire(lock, 'owner')
  lock.owner = current().number + 1
  holdLock(addressOf(lock, 'owner'), lock.lockClass, false)
})

export function spinUnlock(lock: Spinlock): void {
  checkOwner(lock.owner, 'spin_unlock')
  dropLock(addressOf(lock, 'owner'))
  lock.owner = 0
  preemptEnable()
}

/** rwlock_t: spins, one writer or many readers. */
export interface RwLock extends Obj {
  writer: number
  readers: number
  /** Always 0; readers and writers of an rwlock do not queue here. */
  waiting: number
  lockClass: number
}

export const RwLock: Struct<RwLock> = struct<RwLock>(
  'RwLock',
  { writer: num(), readers: num(), waiting: num(), lockClass: num() },
  { role: 'machine', quiet: true },
)

export function rwLockInit(lock: RwLock, name: string): void {
  lock.lockClass = lockClass(name)
}

export const readLock = fn(function* read_lock(lock: RwLock): Kernel<void> {
  preemptDisable()
  yield acquireShared(lock, 'writer')
  lock.readers++
  holdLock(addressOf(lock, 'writer'), lock.lockClass, false)
})

export function readUnlock(lock: RwLock): void {
  checkReader(addressOf(lock, 'writer'), 'read_unlock')
  dropLock(addressOf(lock, 'writer'))
  lock.readers--
  preemptEnable()
}

export const writeLock = fn(function* write_lock(lock: RwLock): Kernel<void> {
  preemptDisable()
  yield acquireExclusive(lock, 'writer')
  lock.writer = current().number + 1
  holdLock(addressOf(lock, 'writer'), lock.lockClass, false)
})

export function writeUnlock(lock: RwLock): void {
  checkOwner(lock.writer, 'write_unlock')
  dropLock(addressOf(lock, 'writer'))
  lock.writer = 0
  preemptEnable()
}

export interface Mutex extends Obj {
  owner: number
  lockClass: number
}

export const Mutex: Struct<Mutex> = struct<Mutex>(
  'Mutex',
  { owner: num(), lockClass: num() },
  { role: 'machine', quiet: true },
)

export function mutexInit(lock: Mutex, name: string): void {
  lock.lockClass = lockClass(name)
}

export const mutexLock = fn(function* mutex_lock(lock: Mutex): Kernel<void> {
  mightSleep('mutex_lock')
  yield acquire(lock, 'owner')
  lock.owner = current().number + 1
  holdLock(addressOf(lock, 'owner'), lock.lockClass, false)
})

export function mutexUnlock(lock: Mutex): void {
  checkOwner(lock.owner, 'mutex_unlock')
  dropLock(addressOf(lock, 'owner'))
  lock.owner = 0
}

export interface RwSemaphore extends Obj {
  writer: number
  readers: number
  /** Writers that wait; a new reader queues behind them. */
  waiting: number
  lockClass: number
}

export const RwSemaphore: Struct<RwSemaphore> = struct<RwSemaphore>(
  'RwSemaphore',
  { writer: num(), readers: num(), waiting: num(), lockClass: num() },
  { role: 'machine', quiet: true },
)

export function initRwsem(sem: RwSemaphore, name: string): void {
  sem.lockClass = lockClass(name)
}

export const downRead = fn(function* down_read(sem: RwSemaphore): Kernel<void> {
  mightSleep('down_read')
  yield acquireShared(sem, 'writer')
  sem.readers++
  holdLock(addressOf(sem, 'writer'), sem.lockClass, false)
})

/** down_read_trylock(): true if the semaphore is now held for reading. */
export const downReadTrylock = fn(function* down_read_trylock(sem: RwSemaphore): Kernel<boolean> {
  yield rmw(sem, 'writer')
  if (sem.writer !== 0 || sem.waiting > 0) return false
  sem.readers++
  holdLock(addressOf(sem, 'writer'), sem.lockClass, true)
  return true
})

export const upRead = fn(function* up_read(sem: RwSemaphore): Kernel<void> {
  yield write(sem, 'readers')
  checkReader(addressOf(sem, 'writer'), 'up_read')
  dropLock(addressOf(sem, 'writer'))
  sem.readers--
})

export const downWrite = fn(function* down_write(sem: RwSemaphore): Kernel<void> {
  mightSleep('down_write')
  yield rmw(sem, 'writer')
  if (sem.writer !== 0 || sem.readers > 0) {
    // Queued: from here on new readers wait behind this writer.
    sem.waiting++
    yield acquireExclusive(sem, 'writer')
    sem.waiting--
  }
  sem.writer = current().number + 1
  holdLock(addressOf(sem, 'writer'), sem.lockClass, false)
})

export const upWrite = fn(function* up_write(sem: RwSemaphore): Kernel<void> {
  checkOwner(sem.writer, 'up_write')
  yield write(sem, 'writer')
  dropLock(addressOf(sem, 'writer'))
  sem.writer = 0
})

function checkReader(at: Addr, where: string): void {
  if (holdsLock(current(), at)) return
  remark('unlock-by-other', `${where} of a lock that this task does not hold`)
}

function checkOwner(owner: number, where: string): void {
  if (owner === current().number + 1) return
  remark('unlock-by-other', `${where} of a lock that this task does not hold`)
}
