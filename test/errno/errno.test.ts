/** Every row of the table of errors, on the model of each version that it speaks of. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Model } from '../../src/conform/model.js'
import { errnoName } from '../../src/kernel/include/errno.js'
import { User } from '../kernel/user.js'
import { ROWS } from './index.js'
import { PROFILES } from './row.js'

for (const profile of PROFILES) {
  describe(`errors on ${profile}`, () => {
    const rows = ROWS.filter((row) => row.answer[profile] !== undefined)
    test('what transcripts have calls for', () => {
      const model = new Model(profile)
      for (const { ops, call, condition, answer } of rows) {
        if (ops === undefined) continue
        assert.equal(model.run(ops).at(-1)?.r, answer[profile], `${call}: ${condition}`)
      }
    })
    test('what they have none for', () => {
      for (const { run, call, condition, answer } of rows) {
        if (run === undefined) continue
        const user = new User(profile)
        const got = run((f, ...args) => user.call(f, ...args))
        const wanted = answer[profile]
        assert.equal(
          typeof wanted === 'number' ? got : errnoName(got),
          wanted,
          `${call}: ${condition}`,
        )
      }
    })
  })
}

test('each row says how each of its answers is known, and has one way to run', () => {
  for (const { call, condition, answer, source, ops, run } of ROWS) {
    const name = `${call}: ${condition}`
    assert.deepEqual(Object.keys(answer).sort(), Object.keys(source).sort(), name)
    assert.notEqual(ops === undefined, run === undefined, name)
  }
})
