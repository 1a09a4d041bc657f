/** Shrinking: what is left still shows it, and nothing can be left out of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Kernel, shrinkDifference } from '../../src/conform/differential.js'
import { generate } from '../../src/conform/generate.js'
import { Model } from '../../src/conform/model.js'
import type { Op } from '../../src/conform/program.js'
import { shrink, without } from '../../src/conform/shrink.js'

test('files and maps keep their identity when calls are left out', () => {
  const ops: Op[] = [
    ['memfd_create', 0],
    ['memfd_create', 2],
    ['mmap', 0, 3, 1, 4096, 0],
    ['mmap', 1, 3, 1, 4096, 0],
    ['store', 0, 0, 1],
    ['store', 1, 0, 2],
    ['ftruncate', 1, 4096],
  ]
  assert.deepEqual(without(ops, 0), [
    ['memfd_create', 2],
    ['mmap', 0, 3, 1, 4096, 0],
    ['store', 0, 0, 2],
    ['ftruncate', 0, 4096],
  ])
  assert.deepEqual(without(ops, 4), [...ops.slice(0, 4), ...ops.slice(5)])
})

test('a file goes with its duplicates, a duplicate alone', () => {
  const ops: Op[] = [
    ['memfd_create', 0],
    ['dup', 0],
    ['memfd_create', 2],
    ['ftruncate', 1, 1],
    ['ftruncate', 2, 2],
  ]
  assert.deepEqual(without(ops, 0), [
    ['memfd_create', 2],
    ['ftruncate', 0, 2],
  ])
  assert.deepEqual(without(ops, 1), [
    ['memfd_create', 0],
    ['memfd_create', 2],
    ['ftruncate', 1, 2],
  ])
})

test('the culprit is found among twenty calls, with the lowest arguments', async () => {
  const ops: Op[] = [
    ...generate('memfd', 5).filter(([name]) => name !== 'lseek'),
    ['lseek', 1, 70_000, 3],
  ]
  const shows = async (some: readonly Op[]): Promise<boolean> =>
    some.some(([name, , offset]) => name === 'lseek' && Number(offset) > 5000)
  assert.deepEqual(await shrink(ops, shows), [['lseek', 0, 5001, 0]])
})

test('a shrunk program still shows it, and needs each of its calls', () =>
  fc.assert(
    fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 3 }), async (seed, least) => {
      const ops = generate('memfd', seed)
      const counts = (some: readonly Op[]): number =>
        some.filter(([name, file]) => name === 'pwrite' && file === 0).length
      fc.pre(counts(ops) >= least)
      const shows = async (some: readonly Op[]): Promise<boolean> => counts(some) >= least
      const small = await shrink(ops, shows)
      assert.equal(counts(small), least)
      for (const i of small.keys()) assert.ok(counts(without(small, i)) < least, `call ${i}`)
    }),
    { numRuns: 40 },
  ))

test('a smaller program that needs more than the model has is passed over', async () => {
  const model = new Model('6.18')
  const ops: Op[] = [
    ['mmap', 0, 3, 0x22, 4096, 0],
    ['load', 0, 0],
  ]
  // It differs from the model in what it loads, if there is anything to load from.
  const kernel: Kernel = {
    run: async (programs) =>
      programs.map((some) => {
        const results = model.run(some)
        const isMapped = results.some(({ r }) => r === 'map')
        return results.map((res, i) => (isMapped && some[i]?.[0] === 'load' ? { r: 7 } : res))
      }),
    refuses: () => undefined,
  }
  const [res = []] = await kernel.run([ops])
  const difference = { program: { seed: 1, ops, res }, call: 1, other: model.run(ops) }
  const shortest = await shrinkDifference(difference, kernel, model)
  const [map] = shortest?.program.ops ?? []
  assert.equal(map?.[0], 'mmap')
  // One less is shared anonymous memory, which the model does not have.
  assert.equal(map?.[3], 0x22)
})
