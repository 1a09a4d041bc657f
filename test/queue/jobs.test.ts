/** Jobs and answers as data: what is sent conforms to the schema, and what does not is read by nobody. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { checkScenario } from '../../src/app/check.js'
import type { Job } from '../../src/app/host/job.js'
import { fromJson, NotAsWritten } from '../../src/app/host/narrow.js'
import { askedCell, CELLS } from '../../src/app/host/queue/cells.js'
import { answered, envelope, readAnswered, readEnvelope } from '../../src/app/host/queue/wire.js'
import { readScenarios } from '../../src/app/host/scenarios.js'
import { packed } from '../../src/app/host/stored.js'
import { knownNames } from '../../src/app/known.js'
import type { ScenarioFile } from '../../src/app/results.js'
import type { Design } from '../../src/designs/design.js'
import { designNamed } from '../../src/hosts/index.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const schema = JSON.parse(readFileSync(join(ROOT, 'docs/jobs.schema.json'), 'utf8'))
const conforms = new Ajv({ allErrors: true, strict: true }).compile(schema)

const [file] = readScenarios(['size/truncate-to-the-same-size']) as [ScenarioFile]
const verdict = checkScenario(file.scenario, designNamed('v10') as Design, {
  keepGoing: () => true,
  now: () => 0,
})

const job: Job = {
  ...{ number: 0, text: file.text, known: knownNames(), checkpoint: undefined },
  design: { id: 'mine', module: 'export {}', identity: 'export {}' },
  question: { sample: 10, seed: 3 },
  limits: { milliseconds: 1000 },
}

/** As it comes out of the server. */
const travelled = (value: unknown): unknown => JSON.parse(JSON.stringify(value, packed))

const slice = {
  ...{ slices: 2, snapshot: 'a'.repeat(32), pieces: 1 },
  ...{ bytes: 99, milliseconds: 1.5, states: 7 },
}
const envelopes = [
  envelope('0'.repeat(32), 7, askedCell(job).asked),
  envelope('0'.repeat(32), 7, askedCell(job).asked, slice),
]
const answers = [
  answered('host:1', 12.5, { answer: verdict }),
  answered('host:1', 0, { refused: 'it is too late' }),
  answered('host:1', 7, { slice }),
]

test('what is sent conforms to the schema, and comes back as it was', () => {
  for (const value of [...envelopes, ...answers].map(travelled)) {
    assert.ok(conforms(value), JSON.stringify(conforms.errors))
  }
  const [head] = envelopes.map((e) => readEnvelope(travelled(e), 'job'))
  assert.deepEqual(CELLS.readAsked(head?.asked, 'job'), travelled(askedCell(job).asked))
  const [said] = answers.map((a) => readAnswered(travelled(a), 'answer'))
  assert.ok(verdict.findings.length > 0 && verdict.outcomes.length > 0)
  const back = CELLS.readAnswer(said?.answer, 'answer')
  assert.equal(JSON.stringify(back), JSON.stringify(verdict))
  assert.deepEqual(back.findings, verdict.findings)
})

/** Every value of a tree, replaced by something else or gone, one at a time. */
function* damaged(value: unknown): Generator<unknown> {
  for (const other of [[], -1, 'x y', {}]) yield other
  if (typeof value !== 'object' || !value) return
  for (const [name, inner] of Object.entries(value)) {
    const put = (changed: unknown): unknown =>
      Array.isArray(value)
        ? value.map((v, i) => (String(i) === name ? changed : v))
        : { ...value, [name]: changed }
    for (const changed of damaged(inner)) yield put(changed)
    if (!Array.isArray(value)) yield { ...value, more: 1 }
  }
}

test('what is damaged is told, and read as nothing else', () => {
  let refused = 0
  const reads = [
    (v: unknown) => CELLS.readAsked(readEnvelope(v, 'job').asked, 'job'),
    (v: unknown) => CELLS.readAnswer(readAnswered(v, 'answer').answer, 'answer'),
    (v: unknown) => readAnswered(v, 'answer'),
  ]
  const wholes = [...envelopes.map((e) => [0, e] as const), [1, answers[0]] as const]
  for (const [i, whole] of [...wholes, [2, answers[2]] as const]) {
    for (const value of damaged(travelled(whole))) {
      try {
        reads[i]?.(value)
        assert.ok(conforms(value), `read, and not by the schema: ${JSON.stringify(value)}`)
      } catch (error) {
        assert.ok(error instanceof NotAsWritten, String(error))
        refused++
      }
    }
  }
  assert.ok(refused > 100)
  assert.throws(() => fromJson('{"schema"', readEnvelope, 'job'), /cut off/)
})
