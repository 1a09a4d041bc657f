import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Execution } from '../../src/cell/execution.js'
import { Judges } from '../../src/cell/judges.js'
import type { Witness } from '../../src/explore/listen/witnesses.js'
import { search } from '../../src/explore/prove/search.js'
import type { FnTag } from '../../src/machine/fn.js'
import { boot, load } from '../../src/machine/machine.js'
import { constructAt, type Obj, type Struct } from '../../src/machine/struct.js'
import {
  afterYou,
  letGoNowAndThen,
  lockAndLook,
  lockAndSet,
  lowerUntilLowered,
  noAfterYou,
  openAndShut,
  raiseAgain,
  retryUntilFault,
  retryWhileBusy,
  Shared,
  setFlag,
  shutAndOpen,
  slipThrough,
  spinForFlag,
} from './loops.js'

function start(tasks: readonly FnTag[]): void {
  boot('lowered', () => constructAt(Shared as unknown as Struct<Obj>, Shared.base, 0))
  load({
    faults: 1,
    tasks: tasks.map((f) => ({
      name: f.cName,
      operations: [{ fn: f, args: [], text: f.cName }],
    })),
  })
}

function livelock(...tasks: FnTag[]): Witness | undefined {
  start(tasks)
  const judges = new Judges([])
  judges.attach()
  const options = { bound: undefined, keepGoing: () => true }
  const { witnesses } = search(judges, options)
  judges.detach()
  return witnesses.get('livelock')
}

/** The last `length` moves of the witness lead from a state back to it. */
function assertRound(tasks: readonly FnTag[], { schedule, message }: Witness): void {
  const length = Number(/the last (\d+) steps repeat/.exec(message)?.[1])
  start(tasks)
  const judges = new Judges([])
  judges.attach()
  const run = new Execution(judges)
  assert.equal(run.follow(schedule.slice(0, -length)), schedule.length - length)
  const before = [run.lo, run.hi]
  assert.equal(run.follow(schedule.slice(-length)), length)
  assert.deepEqual([run.lo, run.hi], before)
  judges.detach()
}

describe('nobody is called stuck who only has to wait', () => {
  test('for a task that can step and has not been let', () => {
    assert.equal(livelock(spinForFlag, setFlag), undefined)
  })
  test('for a lock that others take again and again', () => {
    assert.equal(livelock(lockAndLook, lockAndSet), undefined)
  })
  test('for another outcome of a choice', () => {
    assert.equal(livelock(retryWhileBusy), undefined)
  })
  test('for a lock that is let go of with one outcome of a choice', () => {
    assert.equal(livelock(letGoNowAndThen, lockAndSet), undefined)
  })
})

describe('a livelock is told with its round', () => {
  for (const [what, tasks] of [
    ['a wait for what nobody will do', [spinForFlag]],
    ['a wait for a fault that need not strike', [retryUntilFault]],
    ['two that give way to each other', [afterYou, noAfterYou]],
    ['one that undoes what the other one waits to see', [raiseAgain, lowerUntilLowered]],
    ['a door that is always shut when its turn comes', [openAndShut, slipThrough]],
    ['such a door that is open at first', [shutAndOpen, slipThrough]],
  ] as const) {
    test(what, () => {
      const found = livelock(...tasks)
      assert.ok(found !== undefined)
      assertRound(tasks, found)
    })
  }
})
