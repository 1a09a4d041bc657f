/** A design whose code does not do the same twice is told so; no search could be believed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { knownNames } from '../../src/app/known.js'
import { notRepeated } from '../../src/app/repeatable.js'
import { defineDesign } from '../../src/designs/design.js'
import { upm } from '../../src/designs/upm.js'
import { sysFsync } from '../../src/kernel/fs/sync.js'
import { mmState } from '../../src/kernel/include/mm.js'
import { readScenario } from '../../src/litmus/scenario.js'
import { read } from '../../src/machine/effects.js'
import { LimitError } from '../../src/machine/fault.js'
import { type FnTag, fn, type Kernel, replace } from '../../src/machine/fn.js'
import { drawFrom } from '../engine/programs.js'

const kept = new Set<number>()

const keeps = fn(function* keeps(fd: number): Kernel<number> {
  yield read(mmState(), 'numPoisoned')
  kept.add(fd)
  return kept.size
})

const divides = fn(function* divides(fd: number): Kernel<number> {
  yield read(mmState(), 'numPoisoned')
  return fd / 2
})

const scenario = readScenario(
  'litmus test/twice\n"?"\ntask t\n  r0 = fsync(1)\ntask u\n  r0 = fsync(2)\n',
  knownNames(['twice']),
)

const designWith = (f: FnTag) =>
  defineDesign({
    ...{ id: 'twice', summary: 'A test.', base: upm, cite: [] },
    replaces: [replace(sysFsync, f as typeof sysFsync)],
  })

test('state that a module keeps for itself', () => {
  const where = notRepeated(scenario, designWith(keeps), drawFrom(1))
  assert.match(where ?? '', /^step \d+, of [tu],$/)
  assert.equal(notRepeated(scenario, upm, drawFrom(1)), undefined)
})

test('what is no whole number is no result of a call', () => {
  assert.throws(
    () => checkScenario(scenario, designWith(divides), { keepGoing: () => true, now: () => 0 }),
    (error: Error) =>
      error instanceof LimitError && /whole numbers .*, not 0.5$/.test(error.message),
  )
})
