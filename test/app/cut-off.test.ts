/** What is cut off is told: by a limit, by another build, by code that does not end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { UserError } from '../../src/app/error.js'
import { builtInDesigns } from '../../src/app/host/designs.js'
import type { Job } from '../../src/app/host/job.js'
import { assertSameCode, CODE } from '../../src/app/host/package.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { Watch } from '../../src/app/host/watch.js'
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
