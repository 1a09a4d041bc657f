import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { unannounced } from '../../src/app/announced.js'
import { expectationFor } from '../../src/app/expect.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { knownNames } from '../../src/app/known.js'
import { type Design, defineDesign } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import { upm } from '../../src/designs/upm.js'
import { v10 } from '../../src/designs/v10.js'
import { kvmUnmapMemRange } from '../../src/designs/v10-attributes.js'
import type { Kvm } from '../../src/kernel/include/kvm.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import { folioPutRefs } from '../../src/kernel/mm/swap.js'
import { readScenario, type Scenario } from '../../src/litmus/scenario.js'
import { fn, type Kernel, replace } from '../../src/machine/fn.js'
import { drawFrom } from '../engine/programs.js'

const undeclared = (scenario: Scenario, design: Design): string[] =>
  unannounced(scenario, design, drawFrom(7919))

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

test('what calls return, and who reads under SRCU, orders nothing', () => {
  const silentZap = fn(function* kvm_unmap_mem_range(kvm: Kvm): Kernel<void> {
    kvm.mmuInvalidateInProgress += kvm.memslots!.slots.length
  })
  const design = defineDesign({
    id: 'silent-memslots',
    summary: 'kvm_unmap_mem_range() does not announce which memslots it looks at.',
    base: v10,
    cite: ['seeded'],
    replaces: [replace(kvmUnmapMemRange, silentZap)],
  })
  const scenario = readScenario(
    `litmus seeded/two-results
"Two calls whose results are kept."
setup
  vm = kvm_create_vm(SW_PROTECTED)
task attributes
  a0 = set_attributes(vm, gpa=0, size=1P, PRIVATE)
  a1 = set_attributes(vm, gpa=0, size=1P, 0)
task slots
  b0 = plain_slot(vm, slot=0, gpa=0, size=1P)
  b1 = unbind(vm, slot=0)
`,
    knownNames(),
  )
  assert.ok(undeclared(scenario, design).some((f) => f.startsWith('Kvm.memslots')))
})
