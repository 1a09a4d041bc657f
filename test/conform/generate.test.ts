/** Random programs: the same for the same seed, well-formed, and of everything. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CALLS, FAMILIES, generate } from '../../src/conform/generate.js'
import { Model } from '../../src/conform/model.js'
import { formatProgram, parseTranscript } from '../../src/conform/program.js'
import { Random } from '../../src/conform/random.js'

const HEADER = '{"schema":2,"kernel":"6.18","arch":"x86_64","family":"memfd"}'

for (const family of FAMILIES) {
  test(`${family}: a seed is a program, in the format of transcripts`, () => {
    for (let seed = 0; seed < 300; seed++) {
      const ops = generate(family, seed)
      assert.equal(ops.length, CALLS)
      assert.deepEqual(generate(family, seed), ops)
      const line = formatProgram({ seed, ops, res: ops.map(() => ({ r: 0 })) })
      assert.deepEqual(parseTranscript(`${HEADER}\n${line}`, 'x').programs[0]?.ops, ops)
    }
  })
}

test('neighbouring seeds have little in common', () => {
  const texts = new Set(
    Array.from({ length: 1000 }, (_, seed) =>
      JSON.stringify(generate('memfd', seed), (_key, v) => (typeof v === 'bigint' ? `${v}` : v)),
    ),
  )
  assert.equal(texts.size, 1000)
})

test('a weight is how often something is chosen', () => {
  const random = new Random(1)
  let ones = 0
  for (let i = 0; i < 10_000; i++) {
    ones += random.weighted([
      [1, 1],
      [3, 0],
    ])
  }
  assert.ok(ones > 2300 && ones < 2700, `${ones} of 10000, 2500 are due`)
})

test('programs for guests that this host may not have do no harm to the model', () => {
  for (const profile of ['6.2', '6.18'] as const) {
    const model = new Model(profile)
    for (let seed = 0; seed < 300; seed++) {
      const ops = generate('guest_memory', seed)
      assert.equal(model.run(ops).length, ops.length, `seed ${seed} on ${profile}`)
    }
  }
})
