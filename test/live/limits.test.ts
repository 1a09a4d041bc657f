/** What no program may ask of a running host. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAMILIES, generate } from '../../src/conform/generate.js'
import type { Op } from '../../src/conform/program.js'
import { refusal } from '../../src/live/limits.js'
import { withOracle } from './host.js'

const REFUSED: readonly (readonly Op[])[] = [
  [['memfd_create', 4]],
  [['fallocate', 0, 0, 0, 2 ** 30]],
  [['fallocate', 0, 1, 4096, 2 ** 40]],
  [['pwrite', 0, 0, 2 ** 21, 1]],
  [['write', 0, 2 ** 21, 1]],
  [['pread', 0, 0, -1]],
  [['kvm_set_user_memory_region2', 0, 4, 0, 2 ** 40, 0, 0]],
  [['mmap', 0, 3, 0x11, 4096, 0]],
  [['mmap', 0, 3, 0x8001, 2 ** 21, 0]],
  [['mmap', 0, 3, 2, 2 ** 40, 0]],
  [
    ['kvm_create_vm', 0],
    ['run', 0x10000],
  ],
  [['move_pages', 0, 0, 0]],
  [['compact']],
  Array.from({ length: 65 }, (): Op => ['memfd_create', 0]),
  Array.from({ length: 1001 }, (): Op => ['fstat', 0]),
]

for (const ops of REFUSED) {
  const [first] = ops
  test(`refused: ${ops.length > 1 ? `${ops.length} times ` : ''}${first?.join(' ')}`, () => {
    assert.notEqual(refusal(ops), undefined)
  })
}

test('what cannot allocate is let through', () => {
  assert.equal(refusal([['fallocate', 0, 3, 0, 2 ** 40]]), undefined)
  assert.equal(refusal([['fallocate', 0, 0, 4096, (1n << 63n) - 1n]]), undefined)
  assert.equal(refusal([['ftruncate', 0, (1n << 63n) - 1n]]), undefined)
})

test('no generated program is refused', () => {
  for (const family of FAMILIES) {
    for (let seed = 0; seed < 2000; seed++) {
      assert.equal(refusal(generate(family, seed)), undefined, `${family} ${seed}`)
    }
  }
})

test('the worker itself refuses too', (t) =>
  withOracle(t, 'memfd', async (oracle) => {
    await assert.rejects(oracle.run([[['memfd_create', 4]]]), /refused: memfd_create/)
    assert.equal((await oracle.run([[['memfd_create', 0]]]))[0]?.[0]?.r, 'fd')
  }))
