import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { expectationFor } from '../../src/app/expect.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { bootScenario } from '../../src/cell/boot.js'
import { type Design, defineDesign } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import { upm } from '../../src/designs/upm.js'
import { AccessJudge } from '../../src/explore/listen/undeclared.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import { folioPutRefs } from '../../src/kernel/mm/swap.js'
import type { Scenario } from '../../src/litmus/scenario.js'
import { fn, type Kernel, replace } from '../../src/machine/fn.js'
import { announceAll } from '../../src/machine/frames.js'
import { alternatives, canStep, step, taskCount } from '../../src/machine/machine.js'

const RUNS = 12

/** Fields of accesses that nobody announced, over some random executions. */
function undeclared(scenario: Scenario, design: Design): string[] {
  const found = new Set<string>()
  for (let run = 1; run <= RUNS; run++) {
    let seed = run * 7919
    const next = (n: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return Math.floor((seed / 2 ** 32) * n)
    }
    announceAll(true)
    bootScenario(scenario, design, 'lowered')
    const judge = new AccessJudge(new Set())
    for (let i = 0; i < 600; i++) {
      const ready: number[] = []
      for (let t = 0; t < taskCount(); t++) if (canStep(t)) ready.push(t)
      if (ready.length === 0) break
      const task = ready[next(ready.length)] as number
      judge.beforeStep(task)
      const { fault } = step(task, next(alternatives(task)))
      judge.detach()
      if (fault?.kind === 'undefined') break
    }
    announceAll(false)
    for (const u of judge.found) found.add(`${u.field} ${u.write ? 'write' : 'read'}`)
  }
  return [...found]
}

const files = builtInScenarios()

describe('every access that no lock orders is announced', () => {
  for (const { scenario } of files) {
    test(scenario.name, () => {
      for (const design of DESIGNS) {
        if (expectationFor(scenario, design)?.outcome === 'skip') continue
        assert.deepEqual(undeclared(scenario, design), [], design.id)
      }
    })
  }
})

test('a forgotten announcement is found', () => {
  const silentPut = fn(function* folio_put_refs(folio: Folio, refs: number): Kernel<void> {
    folio.refcount -= refs
  })
  const design = defineDesign({
    id: 'silent-put',
    summary: 'folio_put_refs() does not announce the count.',
    base: upm,
    cite: ['seeded'],
    replaces: [replace(folioPutRefs, silentPut)],
  })
  const { scenario } = files.find((f) => f.scenario.name === 'migration/two-vcpus-touch-one-page')!
  assert.ok(undeclared(scenario, design).some((f) => f.startsWith('Folio.refcount')))
})
