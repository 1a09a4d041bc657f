/** A check on the thread that asks: who else gets a turn, and what becomes of a large cell. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { check, loadDesigns, loadScenarios } from '../../src/app/host/index.js'

const SMALL = ['memslot/clear-private-flag-then-punch', 'stat/fstat-of-a-restricted-file']
const LARGE = fileURLToPath(new URL('../../../bench/two-guests.litmus', import.meta.url))

test('others have their turn between two cells', async () => {
  const [scenarios, designs] = [loadScenarios(SMALL), await loadDesigns(['upm', 'v10'])]
  const turns = new Set<number>()
  let turn = 0
  const timer = setInterval(() => turn++, 0)
  const onProgress = (): void => {
    turns.add(turn)
    // Longer than until the next one.
    for (const end = performance.now() + 5; performance.now() < end; );
  }
  const { cells } = await check({ scenarios, designs, cache: false, onProgress })
  clearInterval(timer)
  assert.equal(cells.length, 4)
  assert.ok(turns.size > 1, `${turns.size}`)
})

test('who interrupts gets what there is', async () => {
  const [scenarios, designs] = [loadScenarios(SMALL), await loadDesigns(['upm', 'v10'])]
  const controller = new AbortController()
  const results = await check({
    scenarios,
    designs,
    cache: false,
    signal: controller.signal,
    onProgress: () => controller.abort(),
  })
  assert.deepEqual([results.cells.length, results.interrupted], [1, true])
})

test('a cell that takes longer than a moment goes to a worker, and the others after it', async () => {
  const [scenarios, designs] = [loadScenarios([LARGE, ...SMALL]), await loadDesigns(['upm'])]
  // It ends when its memory is full, some seconds from here.
  const limits = { bytes: 12 * 2 ** 20 }
  const { cells, interrupted } = await check({ scenarios, designs, limits, cache: false })
  const told = cells.map(({ verdict: v }) => [v.scenario, v.proof, v.outOfMemory])
  assert.deepEqual(
    [interrupted, ...told],
    [
      false,
      ['bench/two-guests', 'bounded', true],
      [SMALL[0], 'exhaustive', false],
      [SMALL[1], 'exhaustive', false],
    ],
  )
})
