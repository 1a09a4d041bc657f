/** Which function decided a result. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeRule } from '../../src/conform/describe.js'
import { Model } from '../../src/conform/model.js'
import { asReturn, callsOf, chainOf } from '../../src/conform/origin.js'
import type { Op } from '../../src/conform/program.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { modelsOf } from '../../src/patch/model/dictionary.js'

test('the innermost function that gave the value, not one that ran later or gave another', () => {
  const returns = [
    asReturn('lock', 20, 0),
    asReturn('check', 30, -1),
    asReturn('inner', 20, -1),
    asReturn('unlock', 20, 0),
    asReturn('outer', 10, -1),
  ]
  assert.deepEqual(chainOf(returns), ['outer', 'inner', 'check'])
  assert.equal(callsOf([...returns, asReturn('fstat', 10, 0)]).length, 2)
})

const EXPLAINED: readonly (readonly [readonly Op[], RegExp])[] = [
  [
    [
      ['memfd_create', 2],
      ['fcntl_add_seals', 0, 8],
      ['fallocate', 0, 3, 0, 4096],
    ],
    /fallocate vfs_fallocate shmem_fallocate/,
  ],
  [
    [
      ['memfd_create', 0],
      ['fallocate', 0, 3, 0, -1],
    ],
    /vfs_fallocate$/,
  ],
  [
    [
      ['memfd_create', 0],
      ['fcntl_add_seals', 0, 1],
    ],
    /memfd_add_seals/,
  ],
]

for (const [ops, chain] of EXPLAINED) {
  test(`what answers ${ops.at(-1)?.join(' ')}`, () => {
    const model = new Model('6.18')
    const { chain: through, call } = model.explain(ops)
    assert.match(through.join(' '), chain)
    assert.equal(call, ops.length - 1)
  })
}

test('what is seen of a page is explained by the call that last changed it', () => {
  const ops: Op[] = [
    ['memfd_create', 2],
    ['ftruncate', 0, 8192],
    ['mmap', 0, 3, 1, 4096, 0],
    ['store', 0, 0, 1],
    ['fstat', 0],
    ['load', 0, 0],
    ['page', 0, 0],
  ]
  const model = new Model('6.18')
  const why = model.explain(ops)
  assert.equal(why.call, 3)
  assert.ok(why.chain.length > 0, 'the store has a function that decided')
  const [rule = ''] = describeRule(why, ops, (cName) => modelsOf(dictionary(), cName, '6.18'))
  assert.match(rule, /rule {4}\w+ of store\(m0, 0, 1\), models 6\.\d+ \S+\.c \w+$/)
  const never = model.explain([...ops.slice(0, 3), ['page', 0, 0]])
  assert.equal(never.call, 2, 'a map without pages is the work of mmap')
})
