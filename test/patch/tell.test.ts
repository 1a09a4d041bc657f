/** What a review says, and the design that it keeps. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { decodeToken } from '../../src/app/token.js'
import { upm } from '../../src/designs/upm.js'
import { lowerModule } from '../../src/lower/host.js'
import { scopeOf } from '../../src/patch/facts.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { startCParser } from '../../src/patch/host/grammar.js'
import { bound, keep } from '../../src/patch/host/kept-design.js'
import type { Patch } from '../../src/patch/mail/patch.js'
import type { Entry } from '../../src/patch/plan.js'
import { tell } from '../../src/patch/tell.js'
import { designText } from '../../src/patch/translate/module.js'
import {
  type CellPair,
  type CellVerdict,
  type Finding,
  reviewOf,
} from '../../src/patch/verdicts.js'

const long = 'x'.repeat(300)

const finding: Finding = {
  ...{ id: 'livelock', function: 'folio_trylock', message: `for ever: ${long}`, first: true },
  ...{ isDemand: false, token: `rm2.${long}` },
}

function pair(scenario: string, findings: readonly Finding[]): CellPair {
  const base = { findings: [], skipped: undefined }
  const patched = { findings, skipped: undefined, marks: [] }
  const difference = { what: 'outcomes', detail: `-{"a":${long}}` }
  return { scenario, base, patched, difference }
}

const entry: Entry = {
  ...{ name: 'f', file: 'mm/x.c', kind: 'changed', how: 'translated', targets: [] },
  ...{ holes: [{ reason: long, line: 3, c: '' }], dropped: [], assumptions: [] },
  lines: new Set([3]),
}

test('a mail has at most 72 columns, whatever is in it, and its tokens', () => {
  const review = reviewOf([pair('area/one', [finding]), pair('area/two', [])], [entry])
  const first = reviewOf([pair('area/one', [])], [entry])
  const text = tell(
    {
      ...{ subject: long, base: 'upm', notes: [long], entries: [entry], checkOf: () => '' },
      ...{ review, replay: `restrictedmem replay --design ${long}.ts TOKEN`, columns: [first] },
    },
    72,
  )
  for (const line of text.split('\n')) assert.ok(line.length <= 72, line)
  assert.ok(text.replace(/\s+/g, '').includes(`rm2.${long}`))
  assert.match(text, /Mail by mail \(1 to 2\)\n {2}area\/one\n {4}1: otherwise 2: livelock/)
})

test('the design that is kept is a design file, with its functions and slots', async () => {
  await startCParser()
  const scope = scopeOf(upm, dictionary())
  const text = 'fn(function* migrate_folio(): Kernel<number> {\n  return -EBUSY\n})'
  const slots = [
    { table: 'shmemAops', slot: 'migrateFolio' },
    { table: 'secretmemAops', slot: 'migrateFolio' },
  ]
  const design = designText([{ name: 'refuse$', text, slots, comment: 'refuses.' }], scope, {
    id: 'review-x',
    summary: 'a "patch"',
  })
  const { text: code, problems } = lowerModule(design)
  assert.deepEqual(problems, [], design)
  const url = `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`
  const made = (await import(url)) as { design: { id: string; slots: unknown[] } }
  assert.equal(made.design.id, 'review-x')
  assert.equal(made.design.slots.length, 2)
})

test('a finding has a token where the design is kept, and none where it is not', async () => {
  await startCParser()
  const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-review-'))
  try {
    const patch = { subject: '[PATCH] mm: keep' } as Patch
    const kept = await keep(folder, [], scopeOf(upm, dictionary()), [patch])
    const schedule = [{ task: 1, choice: 0, alternatives: 1 }]
    const shown = { id: 'livelock', function: 'f', message: '', first: true, isDemand: false }
    const found = [{ ...shown, schedule }]
    const scenario = 'migration/guest-touch-vs-compaction'
    const cell: CellVerdict = { scenario, word: 'finds', found, gone: [], detail: '' }
    const token = decodeToken(bound([cell], kept?.design)[0]?.found[0]?.token ?? '')
    assert.deepEqual(token.schedule, schedule)
    assert.equal(token.design, 'review-mm-keep')
    assert.equal(bound([cell], undefined)[0]?.found[0]?.token, undefined)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
