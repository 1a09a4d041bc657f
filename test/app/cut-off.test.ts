/** What is cut off is told: by a limit, by another build, by code that does not end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { UserError } from '../../src/app/error.js'
import { atOnce } from '../../src/app/host/at-once.js'
import { builtInDesigns } from '../../src/app/host/designs.js'
import type { Job, Message } from '../../src/app/host/job.js'
import { assertSameCode, CODE } from '../../src/app/host/package.js'
import { perform } from '../../src/app/host/perform.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { Watch } from '../../src/app/host/watch.js'
import { knownNames } from '../../src/app/known.js'
import { renderVerdict } from '../../src/report/verdict.js'

test('a limit that strikes while executions are made shorter', () => {
  const file = builtInScenarios().find((f) => f.scenario.name === 'memslot/bind-during-punch')!
  const design = builtInDesigns().find((d) => d.id === 'v10')!
  // Only the search for everything has a snapshot.
  const verdict = checkScenario(file.scenario, design.design, {
    askEvery: 1,
    keepGoing: (_states, _depth, { snapshot }) => snapshot !== undefined,
    now: () => 0,
  })
  assert.deepEqual([verdict.proof, verdict.fewest], ['exhaustive', false])
  const told = renderVerdict({ file, design, verdict, hash: '00000000' }).replace(/\s+/g, ' ')
  assert.match(told, /stopped before executions with the fewest preemptions were found/)
})

test('a verdict stands whose second search is interrupted', async () => {
  const { text } = builtInScenarios().find((f) => f.scenario.name === 'punch/punch-vs-guest-fault')!
  const sent: Message[] = []
  const isFirst = (m: Message): boolean => m.kind === 'verdict' && !m.final
  const job: Job = {
    number: 0,
    text,
    known: knownNames(),
    design: { id: 'upm', module: undefined, identity: 'upm' },
    question: { cross: 1_000_000 },
    limits: {},
    checkpoint: undefined,
  }
  // Nobody stops before the first verdict is there.
  const last = await perform(job, { send: (m) => sent.push(m), stopped: () => sent.some(isFirst) })
  const first = sent.find(isFirst)
  assert.ok(first?.kind === 'verdict' && last.kind === 'verdict' && last.final)
  const { cross, ...rest } = last.verdict
  assert.deepEqual([rest, rest.proof, cross?.outcome], [first.verdict, 'exhaustive', 'open'])
  assert.match(cross?.model?.why ?? '', /stopped/)
  // Where nobody could be told of the first one, no second search is begun.
  assert.equal(await atOnce(job, () => false), undefined)
})

test('a build while a check runs', () => {
  assertSameCode(CODE.code)
  assert.throws(() => assertSameCode('of another build'), UserError)
})

test("a step of a user's design that does not end, half a minute behind its time", (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const told: string[] = []
  const after = (module: string | undefined, milliseconds?: number): string[] => {
    const watch = new Watch((error) => told.push(error.message))
    watch.begin({ design: { id: 'mine', module }, limits: { milliseconds } } as unknown as Job)
    t.mock.timers.tick(29_000)
    assert.deepEqual(told, [])
    t.mock.timers.tick(1100)
    watch.end()
    return told.splice(0)
  }
  const [why = ''] = after('export {}', 0)
  assert.match(why, /^mine: a step of its code does not end/)
  assert.deepEqual(after('export {}'), [], 'no time was set')
  assert.deepEqual(after(undefined, 0), [], 'a built-in design')
})
