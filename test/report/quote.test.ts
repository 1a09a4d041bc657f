/** A scenario in a mail: short lines, and whoever copies it has the same scenario. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInScenarios, hostScenarios } from '../../src/app/host/scenarios.js'
import { cellHash } from '../../src/app/token.js'
import { parseLitmus } from '../../src/litmus/syntax.js'
import { quoted } from '../../src/report/quote.js'

/** What a text says, wherever it says it. */
const said = (text: string): unknown =>
  JSON.parse(JSON.stringify(parseLitmus(text), (key, value) => (key === 'at' ? undefined : value)))

const AWKWARD = `litmus own/awkward
"Is # in a question a comment, ${'or a word like any other, '.repeat(4)}or what?"
task t
  r0 = mmap(1, PROT_READ|PROT_WRITE, MAP_SHARED, 2P)   # ${'a long remark, '.repeat(5)}
always t:r0 == 0 or t:r0 == 1 or t:r0 == 2 or (t:r0 == 3 and not t:r0 == 4) or t:r0 == 5
expect
  * skip "${'because '.repeat(12)}it is so"
`

test('every scenario is quoted in 72 columns, reads the same, and has the same tokens', () => {
  const texts = [...builtInScenarios(), ...hostScenarios()].map((f) => f.text)
  for (const text of [...texts, AWKWARD]) {
    const quote = quoted(text)
    for (const line of quote.split('\n')) assert.ok(line.length <= 72, line)
    assert.deepEqual(said(quote), said(text))
    assert.equal(cellHash('', quote, ''), cellHash('', text, ''))
  }
})
