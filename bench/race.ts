/**
 * A small race in the style of the kernel: vCPUs fault a page in, hole punches take it out of the
 * file, migration moves it. One shared access is one step. `race.pml` is the same protocol in
 * Promela, step for step.
 */
import { acquire, read, rmw, until, untilElement, write } from '../src/machine/effects.js'
import { NO_FACTS } from '../src/machine/fault.js'
import { type FnTag, fn, type Kernel } from '../src/machine/fn.js'
import { boot, load, type TaskProgram } from '../src/machine/machine.js'
import {
  constructAt,
  num,
  type Obj,
  type Struct,
  struct,
  type Vec,
  vec,
} from '../src/machine/struct.js'
import { current } from '../src/machine/task.js'
import type { Context, Sanitizer } from '../src/sanitizers/sanitizer.js'

export const FRAMES = 6
/** The count of a page whose references are frozen. */
export const FROZEN = -1

interface Race extends Obj {
  /** Invalidations that have ended, and those under way. */
  seq: number
  inProgress: number
  /** Frame number in the file and in the secondary MMU; 0 for none. */
  cache: number
  spte: number
  mmuLock: number
  /** By frame: references, and who holds the folio lock. */
  refs: Vec
  folioLock: Vec
}

const Race: Struct<Race> = struct<Race>(
  'Race',
  {
    seq: num(),
    inProgress: num(),
    cache: num(),
    spte: num(),
    mmuLock: num(),
    refs: vec(FRAMES + 1),
    folioLock: vec(FRAMES + 1),
  },
  { capacity: 1 },
)

function race(): Race {
  return Race.at(Race.base) as Race
}

const getUnlessZero = fn(function* folio_try_get(p: number): Kernel<boolean> {
  const r = race()
  yield rmw(r, 'refs')
  if (r.refs.get(p) <= 0) return false
  r.refs.set(p, r.refs.get(p) + 1)
  return true
})

const put = fn(function* folio_put(p: number): Kernel<void> {
  const r = race()
  yield rmw(r, 'refs')
  r.refs.set(p, r.refs.get(p) - 1)
})

const alloc = fn(function* folio_alloc(): Kernel<number> {
  const r = race()
  yield rmw(r, 'refs')
  for (let p = 1; p <= FRAMES; p++) {
    if (r.refs.get(p) !== 0) continue
    r.refs.set(p, 1)
    return p
  }
  throw new Error('the race needs more frames')
})

const lockMmu = fn(function* mmu_lock(): Kernel<void> {
  const r = race()
  yield acquire(r, 'mmuLock')
  r.mmuLock = current().number + 1
})

const unlockMmu = fn(function* mmu_unlock(): Kernel<void> {
  const r = race()
  yield write(r, 'mmuLock')
  r.mmuLock = 0
})

const unlockFolio = fn(function* folio_unlock(p: number): Kernel<void> {
  const r = race()
  yield write(r, 'folioLock')
  r.folioLock.set(p, 0)
})

const zap = fn(function* zap_range(): Kernel<void> {
  const r = race()
  yield* lockMmu()
  yield write(r, 'spte')
  r.spte = 0
  yield* unlockMmu()
})

const invalidateBegin = fn(function* invalidate_begin(): Kernel<void> {
  const r = race()
  yield rmw(r, 'inProgress')
  r.inProgress++
  yield* zap()
})

const invalidateEnd = fn(function* invalidate_end(): Kernel<void> {
  const r = race()
  yield rmw(r, 'seq')
  r.seq++
  yield rmw(r, 'inProgress')
  r.inProgress--
})

const populate = fn(function* populate(): Kernel<void> {
  const r = race()
  const p = yield* alloc()
  yield rmw(r, 'cache')
  if (r.cache === 0) {
    r.cache = p
    return
  }
  yield* put(p)
})

/** The page at the only offset, with a reference; 0 for a hole. */
const lookup = fn(function* lookup(): Kernel<number> {
  const r = race()
  for (;;) {
    yield read(r, 'cache')
    const p = r.cache
    if (p === 0) return 0
    if (!(yield* getUnlessZero(p))) {
      // Frozen: the page is on the move, and locked until it has arrived.
      yield untilElement(r, 'folioLock', p, 0)
      continue
    }
    yield read(r, 'cache')
    if (r.cache === p) return p
    yield* put(p)
  }
})

const fault = fn(function* fault(): Kernel<void> {
  const r = race()
  for (;;) {
    yield read(r, 'seq')
    const seq = r.seq
    const p = yield* lookup()
    if (p === 0) {
      yield* populate()
      continue
    }
    yield* lockMmu()
    yield read(r, 'inProgress')
    if (r.inProgress === 0 && r.seq === seq) {
      yield write(r, 'spte')
      r.spte = p
      yield* unlockMmu()
      yield* put(p)
      return
    }
    yield* unlockMmu()
    yield* put(p)
    yield until(r, 'inProgress', 0)
  }
})

const punch = fn(function* punch(): Kernel<void> {
  const r = race()
  yield* invalidateBegin()
  for (;;) {
    const p = yield* lookup()
    if (p === 0) break
    yield untilElement(r, 'folioLock', p, 0)
    r.folioLock.set(p, 1)
    yield read(r, 'cache')
    if (r.cache === p) {
      yield write(r, 'cache')
      r.cache = 0
      yield* put(p)
      yield* unlockFolio(p)
      yield* put(p)
      break
    }
    yield* unlockFolio(p)
    yield* put(p)
  }
  yield* invalidateEnd()
})

const freeze = fn(function* folio_ref_freeze(p: number): Kernel<boolean> {
  const r = race()
  yield rmw(r, 'refs')
  if (r.refs.get(p) !== 2) return false
  r.refs.set(p, FROZEN)
  return true
})

const move = fn(function* move(p: number): Kernel<boolean> {
  const r = race()
  if (!(yield* freeze(p))) return false
  const n = yield* alloc()
  yield write(r, 'cache')
  r.cache = n
  return true
})

const migrate = fn(function* migrate(): Kernel<void> {
  const r = race()
  yield read(r, 'cache')
  const p = r.cache
  if (p === 0) return
  if (!(yield* getUnlessZero(p))) return
  yield rmw(r, 'folioLock')
  if (r.folioLock.get(p) !== 0) {
    yield* put(p)
    return
  }
  r.folioLock.set(p, 1)
  yield read(r, 'cache')
  if (r.cache !== p) {
    yield* unlockFolio(p)
    yield* put(p)
    return
  }
  yield* invalidateBegin()
  const moved = yield* move(p)
  yield* unlockFolio(p)
  if (moved) {
    yield write(r, 'refs')
    r.refs.set(p, 0)
  } else yield* put(p)
  yield* invalidateEnd()
})

/** How many tasks of each kind, and how often each does its operation. */
export interface RaceSize {
  readonly vcpus: number
  readonly punches: number
  readonly migrations: number
  readonly rounds: number
}

function tasks(name: string, f: FnTag, count: number, rounds: number): TaskProgram[] {
  const operation = { fn: f, args: [], text: f.cName }
  return Array.from({ length: count }, (_, i) => ({
    name: `${name}${i}`,
    operations: Array.from({ length: rounds }, () => operation),
  }))
}

/** The machine before the first step of a race. */
export function bootRace(size: RaceSize): void {
  boot('lowered', () => constructAt(Race as unknown as Struct<Obj>, Race.base, 0))
  load({
    tasks: [
      ...tasks('vcpu', fault, size.vcpus, size.rounds),
      ...tasks('punch', punch, size.punches, size.rounds),
      ...tasks('migrate', migrate, size.migrations, size.rounds),
    ],
    faults: 0,
  })
}

/** No mapping of a page that is free or about to move, and no count below its floor. */
export const raceJudge: Sanitizer = {
  name: 'race',
  invariant: 'No mapping of a page that is free or about to move.',
  kinds: [
    {
      id: 'mapped-free-page',
      judgement: 'state',
      sentence: 'A free page is mapped.',
      why: [],
    },
  ],
  watches: ['Race.spte', 'Race.refs'],
  ofStates: true,
  state({ report }: Context) {
    const r = race()
    if (r.spte !== 0 && r.refs.get(r.spte) <= 0) {
      report('mapped-free-page', `frame ${r.spte} is mapped and free`, NO_FACTS)
    }
    for (let p = 1; p <= FRAMES; p++) {
      if (r.refs.get(p) >= FROZEN) continue
      report('mapped-free-page', `frame ${p} has too few references`, NO_FACTS)
    }
  },
}

/** What is left when all have ended, for comparing searches. */
export function raceOutcome(): string {
  const r = race()
  const refs = Array.from({ length: FRAMES }, (_, i) => r.refs.get(i + 1))
  return [r.cache, r.spte, r.seq, ...refs].join(' ')
}
