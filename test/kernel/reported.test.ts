/** A VM that was told of the failure of one page has not been told of another's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { knownNames } from '../../src/app/known.js'
import { type Design, defineDesign } from '../../src/designs/design.js'
import { upmAopsRepaired } from '../../src/designs/upm-aops-repaired.js'
import type { RestrictedmemNotifier } from '../../src/kernel/include/restrictedmem.js'
import type { Pgoff } from '../../src/kernel/include/types.js'
import { kvmRestrictedmemError } from '../../src/kernel/virt/kvm/restrictedmem.js'
import { readScenario } from '../../src/litmus/scenario.js'
import { fn, type Kernel, original, replace } from '../../src/machine/fn.js'

const reports = original(kvmRestrictedmemError)

/** Tells of the first page of a file, and of no other. */
const tellsOfTheFirst = fn(function* kvm_restrictedmem_error(
  notifier: RestrictedmemNotifier,
  start: Pgoff,
  end: Pgoff,
): Kernel<void> {
  if (start === 0) yield* reports(notifier, start, end)
})

const scenario = readScenario(
  `litmus test/two-pages-fail
"Two pages of a guest fail, one after the other."
setup
  vm = kvm_create_vm(SW_PROTECTED)
  fd = private_memory(vm, 2P)
  bind(vm, slot=0, gpa=0, size=2P, fd=fd, offset=0) == 0
  set_attributes(vm, gpa=0, size=2P, PRIVATE) == 0
  guest_write(vm, gpa=0, 1) == 0
  guest_write(vm, gpa=1P, 2) == 0
task ras
  memory_failure(fd, page=0)
  memory_failure(fd, page=1)
`,
  knownNames(),
)

function isUnreported(design: Design): boolean {
  const effort = { bound: undefined, asMet: true, keepGoing: () => true, now: () => 0 }
  const { findings } = checkScenario(scenario, design, effort)
  return findings.some((f) => f.id === 'poison-not-reported')
}

test('the failure of one page excuses no other', () => {
  const design = defineDesign({
    id: 'tells-of-the-first',
    summary: 'One page in two.',
    base: upmAopsRepaired,
    cite: ['seeded'],
    replaces: [replace(kvmRestrictedmemError, tellsOfTheFirst)],
  })
  assert.ok(isUnreported(design))
  assert.ok(!isUnreported(upmAopsRepaired))
})
