import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decodeToken, encodeToken, isNamedBy, type Token, TokenError } from '../../src/app/token.js'

const move = fc
  .tuple(fc.nat(7), fc.constantFrom(1, 1, 1, 1, 2, 5), fc.nat(4))
  .map(([task, alternatives, c]) => ({ task, alternatives, choice: c % alternatives }))

const token: fc.Arbitrary<Token> = fc
  .tuple(
    fc.constantFrom('guest-touch-vs-compaction', 'b', 'y_z-1', 'v1.2'),
    fc.constantFrom('v10', 'upm-aops', 'gmem-6.18'),
    fc.constantFrom('00000000', 'deadbeef', '0123abcd'),
    fc.array(move, { maxLength: 80 }),
  )
  .map(([scenario, design, hash, schedule]) => ({ scenario, design, hash, schedule }))

describe('a replay token', () => {
  test('says what it was made of', () => {
    fc.assert(fc.property(token, (t) => assert.deepEqual(decodeToken(encodeToken(t)), t)))
  })

  test('survives being quoted and broken in a mail', () => {
    fc.assert(
      fc.property(token, fc.integer({ min: 5, max: 40 }), (t, width) => {
        const text = encodeToken(t)
        const lines: string[] = []
        for (let i = 0; i < text.length; i += width) lines.push(`> > ${text.slice(i, i + width)}`)
        assert.deepEqual(decodeToken(`${lines.join('\r\n')}\n`), t)
      }),
    )
  })

  test('is found in a mail with words around it, and followed by words', () => {
    fc.assert(
      fc.property(token, fc.integer({ min: 5, max: 40 }), (t, width) => {
        const lines = encodeToken(t).match(new RegExp(`.{1,${width}}`, 'g')) ?? []
        const text = ['See norm2.x below:', '', ...lines, '.', '', 'Thanks', '-- ', 'me'].join(
          '\n> ',
        )
        assert.deepEqual(decodeToken(text), t)
      }),
      { numRuns: 20 },
    )
  })

  test('notices a wrong, missing or additional character', () => {
    fc.assert(
      fc.property(token, fc.nat(), fc.constantFrom('x', '', 'Q7'), (t, n, put) => {
        const text = encodeToken(t)
        const at = n % text.length
        const damaged = text.slice(0, at) + put + text.slice(at + 1)
        fc.pre(damaged !== text)
        assert.throws(() => decodeToken(damaged), TokenError)
      }),
    )
  })

  test('is short: the runs of the tasks, not their steps', () => {
    const schedule = [0, 1, 0].flatMap((task) =>
      Array.from({ length: 40 }, () => ({ task, choice: 0, alternatives: 1 })),
    )
    const text = encodeToken({ scenario: 'a/b', design: 'upm', hash: '00000000', schedule })
    assert.ok(text.length < 40, text)
  })

  test('names the scenario without its area', () => {
    const text = encodeToken({ scenario: 'a/b', design: 'upm', hash: '0000000f', schedule: [] })
    const token = decodeToken(text)
    assert.equal(token.scenario, 'b')
    assert.ok(isNamedBy(token, 'a/b') && isNamedBy(token, 'b') && !isNamedBy(token, 'a/c'))
  })

  test('of another kind or version is refused in words', () => {
    assert.throws(() => decodeToken('hello'), /this is no replay token/)
    assert.throws(() => decodeToken('rm1.a/b.upm.00000000.AAA.AAAA'), /version rm1/)
    assert.throws(() => decodeToken('rm2.b.upm'), /cut off/)
  })
})
