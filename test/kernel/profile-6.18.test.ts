/** Values that 6.18 answers otherwise than 6.2, where no call alone shows them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Design } from '../../src/designs/design.js'
import { gmem618 } from '../../src/designs/gmem.js'
import { upm } from '../../src/designs/upm.js'
import { EBUSY } from '../../src/kernel/include/errno.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import { allocFolioMayFail } from '../../src/kernel/mm/page_alloc.js'
import { softOfflineLost } from '../../src/kernel/mm/soft_offline.js'
import { folioPut, pagevecSize } from '../../src/kernel/mm/swap.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import { bootRecorded } from '../kernel-runs/runner.js'
import { User } from './user.js'

function on(design: Design, f: () => number): number {
  bootRecorded(design)
  return f()
}

test('a soft offline that loses twice: 0 on 6.2, -EBUSY on 6.18', () => {
  assert.equal(on(upm, softOfflineLost), 0)
  assert.equal(on(gmem618, softOfflineLost), -EBUSY)
})

test('an LRU batch: 15 pages on 6.2, 31 on 6.18', () => {
  assert.equal(on(upm, pagevecSize), 15)
  assert.equal(on(gmem618, pagevecSize), 31)
})

/** Whether a frame is handed out again that was marked as poisoned while it was free. */
const allocatesAgain = fn(function* allocates_again(): Kernel<number> {
  const folio = (yield* allocFolioMayFail(true)) as Folio
  yield* folioPut(folio)
  folio.hwpoison = true
  return Number((yield* allocFolioMayFail(true)) === folio)
})

test('a free page that has been marked as poisoned: 6.2 leaves it out, 6.18 hands it out', () => {
  assert.equal(new User('6.2').call(allocatesAgain), 0)
  assert.equal(new User('6.18').call(allocatesAgain), 1)
})
