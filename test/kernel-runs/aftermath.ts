/** Boot `after`: the kernel survives the crash of E8, but what the dead thread held stays held. */
import assert from 'node:assert/strict'
import { dropCaches } from '../../src/kernel/fs/drop_caches.js'
import { sysFallocate } from '../../src/kernel/fs/open.js'
import { MF_SW_SIMULATED } from '../../src/kernel/include/mm.js'
import { memoryFailure } from '../../src/kernel/mm/memory_failure.js'
import { sysMemfdRestricted } from '../../src/kernel/mm/restrictedmem.js'
import { softOffline } from '../../src/kernel/mm/soft_offline.js'
import { hasDied, hasEnded } from '../../src/machine/machine.js'
import { bind, create, drain, fault, KEEP, P, PUNCH, pfnOf, touch } from './calls.js'
import { devGetPage, FREE_FRAME, resetMmu, watch } from './device.js'
import { type Observation, page } from './observe.js'
import { mapAnonymous, mapped, store } from './process.js'
import type { Replay } from './replay.js'
import { type Call, Tasks } from './runner.js'

/** How a child ended: its exit status, or that it never does, since nobody can move it on. */
function child(call: Call): Observation {
  const tasks = new Tasks(call)
  tasks.finish(0)
  if (!hasEnded(0)) {
    assert.ok(tasks.isStuck(0), `${call[0].cName} waits for what nobody gives back`)
    return { ended: false }
  }
  return { ended: true, status: hasDied(0) ? '0x9' : '0x0' }
}

const punchOf = (fd: number, first: number, end: number): Call => [
  sysFallocate,
  fd,
  PUNCH | KEEP,
  BigInt(first) * P,
  BigInt(end - first) * P,
]

export function after(r: Replay): void {
  const row = (name: string, obs = {}): void => r.row('E8.after', name, { ret: 0, obs })
  const address = mapAnonymous()
  store(address, 0, 1)
  const anonymous = mapped(address, 0).pfn
  const other = create()
  bind(other, 0, 63, 2)
  const otherPage = touch(other, 9).pfn
  const fd = create()
  resetMmu(1)
  bind(fd, 0, 63, 1)
  fault(fd, 1)
  drain()
  const poisoned = pfnOf(fd, 1)
  watch(FREE_FRAME)

  const dead = child([memoryFailure, poisoned, MF_SW_SIMULATED])
  const oops = 'child injects into a restricted page (kernel set to survive an oops)'
  row(oops, { ...dead, page: page(poisoned) })
  row('memfd_restricted(0) afterwards', child([sysMemfdRestricted, 0]))
  row('get_page of another index of the same file', child([devGetPage, fd, 5]))
  row('get_page of the poisoned index', child([devGetPage, fd, 1]))
  row('punch of another page of the same file', child(punchOf(fd, 2, 3)))
  row('punch in another restricted file', child(punchOf(other, 0, 8)))
  row('memory_failure on any other page', child([memoryFailure, otherPage, MF_SW_SIMULATED]))
  row('punch of the poisoned page', child(punchOf(fd, 1, 2)))
  row('soft offline of an anonymous page', child([softOffline, anonymous, 0]))
  row("about to write drop_caches (walks every superblock's inode list)")
  row('drop_caches=1', child([dropCaches]))
}
