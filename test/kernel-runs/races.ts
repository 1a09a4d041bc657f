/** E10 of the recorded runs: memory failure against close and unbind, one moment each. */
import assert from 'node:assert/strict'
import { Restrictedmem } from '../../src/designs/upm-mm.js'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { MF_SW_SIMULATED } from '../../src/kernel/include/mm.js'
import { memoryFailure } from '../../src/kernel/mm/memory_failure.js'
import { effectAddr } from '../../src/machine/effects.js'
import { announceAll } from '../../src/machine/frames.js'
import { addressOf, isAlive } from '../../src/machine/struct.js'
import { taskNumber } from '../../src/machine/task.js'
import { bind, create, drain, fault, pfnOf } from './calls.js'
import { devUnbind, letErrorSleep, resetMmu } from './device.js'
import { poison } from './failure.js'
import { fileOf } from './observe.js'
import type { Replay } from './replay.js'
import { Tasks } from './runner.js'

const MANY = 10_000

/** A file with two guest pages on their lists. */
function guestFile(id: number): number {
  const fd = create()
  resetMmu(id)
  bind(fd, 0, 63, id)
  fault(fd, 1, id)
  fault(fd, 2, id)
  drain()
  return fd
}

const objectOf = (fd: number): Restrictedmem =>
  fileOf(fd).fMapping!.privateData as unknown as Restrictedmem

/** Boot `race1`: the walk meets a file whose object has just been freed. */
export function race1(r: Replay): void {
  // The walk meets the newer file first.
  const y = guestFile(1)
  const x = guestFile(2)
  const object = objectOf(x)
  const tasks = new Tasks([sysClose, x], [memoryFailure, pfnOf(y, 1), MF_SW_SIMULATED])
  tasks.steps(0, MANY, () => !isAlive(Restrictedmem, object))
  assert.ok(!isAlive(Restrictedmem, object))
  const how =
    'close(X) started on another thread, release sleeps 1.5 s after freeing its object; then poison a page of file Y'
  r.row('E10.d05', how, { ret: 0 })
  tasks.finish(1)
}

/** Boot `race2`: the object is freed between the walk's two looks at it. */
export function race2(r: Replay): void {
  const x = guestFile(1)
  const object = objectOf(x)
  const memfd = addressOf(object, 'memfd')
  const tasks = new Tasks([memoryFailure, pfnOf(x, 1), MF_SW_SIMULATED], [sysClose, x])
  const looks = () => effectAddr(taskNumber(0).pending) === memfd
  announceAll(true)
  tasks.steps(0, MANY, looks)
  announceAll(false)
  assert.ok(looks())
  const how =
    'poison a page of X; walk waits 1.2 s between loading the object pointer and reading its file; meanwhile close(X)'
  r.row('E10.walk', how, { ret: 0 })
  tasks.steps(1, MANY, () => !isAlive(Restrictedmem, object))
  assert.ok(!isAlive(Restrictedmem, object))
  tasks.finish(0)
}

/** Boot `errcb`: unbind waits for a callback; a callback must not sleep. */
export function errcb(r: Replay): void {
  const fd = guestFile(1)
  const second = pfnOf(fd, 2)
  const tasks = new Tasks([memoryFailure, pfnOf(fd, 1), MF_SW_SIMULATED], [devUnbind, fd, 0, 63])
  assert.ok(tasks.until(0, 'error'))
  tasks.steps(1, MANY)
  assert.ok(tasks.isStuck(1), 'unbind waits')
  assert.equal(tasks.finish(0), 0)
  const unbind = 'unbind while the error callback runs 0.9 s under the list lock'
  r.row('E10.unbind', unbind, { ret: tasks.finish(1) as number })

  bind(fd, 0, 63, 1)
  r.row('E10.sleep', 'about to run an error callback that may sleep', { ret: 0 })
  letErrorSleep(true)
  r.row('E10.sleep', 'corrupt-pfn', { ret: poison(second) })
}
