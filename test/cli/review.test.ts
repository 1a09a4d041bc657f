/** What `review` says of what whole translations rest on, and what it ends with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EXIT } from '../../src/cli/exit.js'
import { checkText, codeOf } from '../../src/cli/review.js'
import type { Entry } from '../../src/patch/plan.js'
import type { CellWord, Review } from '../../src/patch/verdicts.js'

const NOTHING = { found: [], gone: [], detail: '' } as const

function reviewed(partly: boolean, ...words: CellWord[]): Review {
  const cells = words.map((word, i) => ({ ...NOTHING, scenario: `scenario ${i}`, word }))
  return { cells, ran: new Map(), idle: [], partly }
}

test('the exit code says whether all was judged, then whether something new was found', () => {
  assert.equal(codeOf(reviewed(true, 'finds', 'not judged')), EXIT.PARTLY)
  assert.equal(codeOf(reviewed(false, 'as before', 'finds')), EXIT.FINDING)
  assert.equal(codeOf(reviewed(false, 'as before', 'clean again')), EXIT.OK)
})

test('a translation that no scenario reaches is not said to agree', () => {
  const entries: Entry[] = [
    {
      ...{ name: 'f', file: 'mm/f.c', kind: 'changed', how: 'translated', lines: new Set() },
      ...{ targets: [], holes: [], dropped: [], assumptions: [] },
    },
  ]
  assert.match(checkText('alone', entries, 'f'), /agree in every final state$/)
  assert.match(checkText('company', entries, 'f'), /agree in every final state, with what it calls/)
  assert.match(checkText('not reached', entries, 'f'), /not compared: no scenario reaches it/)
  assert.equal(checkText({ differs: 'so' }, entries, 'f'), '')
})
