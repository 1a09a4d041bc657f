/** Small programs that go round: what is a livelock and what only has to wait its turn. */
import { acquire, choose, inject, read, rmw, until, write } from '../../src/machine/effects.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import { num, type Obj, type Struct, struct } from '../../src/machine/struct.js'
import { current } from '../../src/machine/task.js'

export interface Shared extends Obj {
  value: number
  flag: number
  lock: number
  mine: number
  yours: number
}
export const Shared: Struct<Shared> = struct<Shared>(
  'Shared',
  { value: num(), flag: num(), lock: num(), mine: num(), yours: num() },
  { capacity: 1 },
)

function shared(): Shared {
  return Shared.at(Shared.base) as Shared
}

export const spinForFlag = fn(function* spin_for_flag(): Kernel<void> {
  const s = shared()
  for (;;) {
    yield read(s, 'flag')
    if (s.flag === 1) return
  }
})

export const setFlag = fn(function* set_flag(): Kernel<void> {
  const s = shared()
  yield write(s, 'flag')
  s.flag = 1
})

/** Takes and releases the lock until the flag is set. */
export const lockAndLook = fn(function* lock_and_look(): Kernel<void> {
  const s = shared()
  for (;;) {
    yield acquire(s, 'lock')
    s.lock = current().number + 1
    yield write(s, 'lock')
    s.lock = 0
    yield read(s, 'flag')
    if (s.flag === 1) return
  }
})

export const lockAndSet = fn(function* lock_and_set(): Kernel<void> {
  const s = shared()
  yield acquire(s, 'lock')
  s.lock = current().number + 1
  yield write(s, 'flag')
  s.flag = 1
  yield write(s, 'lock')
  s.lock = 0
})

/** Opens the door for a moment, again and again, until the flag is set. */
export const openAndShut = fn(function* open_and_shut(): Kernel<void> {
  const s = shared()
  for (;;) {
    yield write(s, 'value')
    s.value = 1
    yield write(s, 'value')
    s.value = 0
    yield read(s, 'flag')
    if (s.flag === 1) return
  }
})

export const slipThrough = fn(function* slip_through(): Kernel<void> {
  const s = shared()
  yield until(s, 'value', 1)
  yield write(s, 'flag')
  s.flag = 1
})

/** The same, of a door that is open at first. */
export const shutAndOpen = fn(function* shut_and_open(): Kernel<void> {
  const s = shared()
  yield write(s, 'value')
  s.value = 1
  for (;;) {
    yield write(s, 'value')
    s.value = 0
    yield write(s, 'value')
    s.value = 1
    yield read(s, 'flag')
    if (s.flag === 1) return
  }
})

/** Lowers the flag until it stays lowered. */
export const lowerUntilLowered = fn(function* lower_until_lowered(): Kernel<void> {
  const s = shared()
  yield write(s, 'flag')
  s.flag = 1
  for (;;) {
    yield rmw(s, 'flag')
    if (s.flag === 0) return
    s.flag = 0
  }
})

/** Raises the flag whenever it is lowered. */
export const raiseAgain = fn(function* raise_again(): Kernel<void> {
  const s = shared()
  for (;;) {
    yield until(s, 'flag', 0)
    s.flag = 1
  }
})

export const retryWhileBusy = fn(function* retry_while_busy(): Kernel<void> {
  while ((yield choose(2)) === 1) {
    yield read(shared(), 'value')
  }
})

/** Ends only if a fault strikes. */
export const retryUntilFault = fn(function* retry_until_fault(): Kernel<void> {
  while ((yield inject()) === 0) yield read(shared(), 'value')
})

/** Holds the lock until the flag is set, and lets go of it for a moment if it chooses to. */
export const letGoNowAndThen = fn(function* let_go_now_and_then(): Kernel<void> {
  const s = shared()
  yield acquire(s, 'lock')
  s.lock = current().number + 1
  for (;;) {
    if ((yield choose(2)) === 1) {
      yield write(s, 'lock')
      s.lock = 0
      yield acquire(s, 'lock')
      s.lock = current().number + 1
    }
    yield read(s, 'flag')
    if (s.flag === 1) break
  }
  yield write(s, 'lock')
  s.lock = 0
})

/** Backs off when the other one has announced itself too, and tries again. */
export const afterYou = fn(function* after_you(): Kernel<void> {
  const s = shared()
  for (;;) {
    yield write(s, 'mine')
    s.mine = 1
    yield rmw(s, 'yours')
    if (s.yours === 0) return
    yield write(s, 'mine')
    s.mine = 0
  }
})

export const noAfterYou = fn(function* no_after_you(): Kernel<void> {
  const s = shared()
  for (;;) {
    yield write(s, 'yours')
    s.yours = 1
    yield rmw(s, 'mine')
    if (s.mine === 0) return
    yield write(s, 'yours')
    s.yours = 0
  }
})
