/**
 * A large cell in slices: what one machine has seen of it goes to another as a snapshot. What comes
 * out is what comes out in one piece, and a snapshot that is damaged or of something else is refused.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Slice } from '../../src/app/host/job.js'
import { type AskedCell, askedCell, CELLS } from '../../src/app/host/queue/cells.js'
import { HandedOn } from '../../src/app/host/queue/kind.js'
import { readScenarios } from '../../src/app/host/scenarios.js'
import { packSnapshot, type Travelling } from '../../src/app/host/travel.js'
import { knownNames } from '../../src/app/known.js'
import type { ScenarioFile } from '../../src/app/results.js'
import type { Verdict } from '../../src/app/verdict.js'

const [file] = readScenarios(['punch/punch-vs-guest-fault']) as [ScenarioFile]

function cell(id: string, limits: AskedCell['limits'] = {}): AskedCell {
  const design = { id, module: undefined, identity: id }
  const job = { number: 0, text: file.text, known: knownNames(), checkpoint: undefined }
  return askedCell({ ...job, design, question: {}, limits }).asked
}

const hand = CELLS.hand(2)
after(() => hand.end())

/** What a worker says to a slice, and what it tells the user. */
async function said(asked: AskedCell, slice: Partial<Slice>) {
  const notices: string[] = []
  const answer = (await hand.answer(asked, {
    design: () => Promise.reject(new Error('there is none')),
    signal: new AbortController().signal,
    slice: { milliseconds: Number.POSITIVE_INFINITY, spent: 0, from: undefined, ...slice },
    onNotice: (text) => notices.push(text),
  })) as Verdict | HandedOn
  return { answer, notices }
}

function facts(answer: Verdict | HandedOn): object {
  assert.ok(!(answer instanceof HandedOn), 'it is not finished')
  return { ...answer, ms: 0, bytes: 0 }
}

describe('a slice of a cell', async () => {
  const whole = await said(cell('upm'), {})
  const first = await said(cell('upm'), { milliseconds: 0 })
  assert.ok(first.answer instanceof HandedOn)
  const { snapshot, states } = first.answer

  test('goes on where the one before it has ended', async () => {
    assert.ok(states > 0 && states < (whole.answer as Verdict).states)
    const rest = await said(cell('upm'), { from: snapshot })
    assert.deepEqual(facts(rest.answer), facts(whole.answer))
    assert.deepEqual(rest.notices, [])
  })

  test('spends the time that the cell is given as a whole', async () => {
    const limits = { milliseconds: 60_000 }
    const { answer } = await said(cell('upm', limits), { from: snapshot, spent: 60_001 })
    assert.ok(!(answer instanceof HandedOn) && answer.stopped && answer.states >= states)
    assert.ok(answer.ms > 60_000)
  })

  const [piece] = snapshot.pieces as [Uint8Array]
  const flipped = Uint8Array.from(piece)
  flipped[piece.length >> 1] = (flipped[piece.length >> 1] as number) ^ 1
  const damages: readonly (readonly [string, Travelling, RegExp])[] = [
    ['with another bit', { ...snapshot, pieces: [flipped] }, /damaged/],
    ['that is cut off', { ...snapshot, pieces: [piece.subarray(0, -9)] }, /damaged/],
    ['with a piece less', { ...snapshot, pieces: [] }, /cut off or damaged/],
    ['that would be larger', { ...snapshot, bytes: 2 ** 40 }, /cut off or damaged/],
    ['of something else', { pieces: [Uint8Array.of(3, 0)], bytes: 0 }, /no checkpoint/],
  ]
  for (const [what, from, why] of damages) {
    test(`${what} is refused, and the cell begins again in one piece`, async () => {
      const { answer, notices } = await said(cell('upm'), { milliseconds: 0, from })
      assert.match(
        notices.join('\n'),
        /^punch\/punch-vs-guest-fault on upm: its snapshot is refused: /,
      )
      assert.match(notices.join('\n'), why)
      assert.deepEqual(facts(answer), facts(whole.answer))
    })
  }

  test('of another cell is refused too', async () => {
    const { answer, notices } = await said(cell('upm-aops'), { milliseconds: 0, from: snapshot })
    assert.match(notices.join('\n'), /refused: the checkpoint belongs to another scenario/)
    assert.deepEqual(facts(answer), facts((await said(cell('upm-aops'), {})).answer))
  })

  test('whose snapshot is too large is not handed on', () => {
    const none = new Int32Array(0)
    const visited = Int32Array.from({ length: 5e5 }, (_, i) => Math.imul(i, 0x9e3779b1))
    const search = { ...{ visited, kept: none, open: { lo: none, hi: none }, states: 1 } }
    const all = { outcomes: new Map(), marks: [], search } as never
    assert.ok(packSnapshot('me', all) !== undefined)
    assert.equal(packSnapshot('me', all, 1e5), undefined)
  })
})
