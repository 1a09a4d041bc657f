/**
 * A process that checks one cell, saves after every few steps, and is killed while it does:
 * `victim.js text design checkpoint steps`. Says when it begins; prints its answer if it comes to
 * the end.
 */

import { checkScenario } from '../../src/app/check.js'
import { dropCheckpoint, readCheckpoint, saveCheckpoint } from '../../src/app/host/checkpoint.js'
import { claim } from '../../src/app/host/claim.js'
import { pairOf } from './cells.js'

const [text = '', design = '', path = '', steps = ''] = process.argv.slice(2)
const { scenario, design: own } = pairOf(text, design)
const release = claim(path)
process.stdout.write('begins\n')
const verdict = checkScenario(scenario, own, {
  asMet: true,
  askEvery: Number(steps),
  resume: readCheckpoint(path, text),
  now: () => 0,
  keepGoing: (_states, _depth, { snapshot }) => {
    if (snapshot !== undefined) saveCheckpoint(path, text, snapshot())
    return true
  },
})
dropCheckpoint(path)
release()
const { states, executions, findings, outcomes } = verdict
process.stdout.write(
  `${JSON.stringify({
    ...{ states, executions },
    findings: findings.map((f) => [f.id, f.first]),
    outcomes: outcomes.map((o) => JSON.stringify(o.values)),
  })}\n`,
)
