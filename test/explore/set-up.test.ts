/** What is done before the tasks begin is judged too, and proves nothing of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { crossCheck } from '../../src/app/cross.js'
import { knownNames } from '../../src/app/known.js'
import type { Verdict } from '../../src/app/verdict.js'
import { DESIGNS } from '../../src/designs/index.js'
import { replayScenario } from '../../src/explore/tell/replay.js'
import { readScenario } from '../../src/litmus/scenario.js'

const ALL = { keepGoing: () => true, now: () => 0 }

function cell(id: string, setUp: string, tasks: string) {
  const text = `litmus test/set-up
"x"

setup
  vm = kvm_create_vm(SW_PROTECTED)
  fd = private_memory(vm, 2P)
  bind(vm, slot=0, gpa=0, size=2P, fd=fd, offset=0)
  set_attributes(vm, gpa=0, size=2P, PRIVATE)
  guest_write(vm, gpa=0, 0x5a)
  ${setUp}

${tasks}
`
  const scenario = readScenario(text, knownNames())
  return { scenario, design: DESIGNS.find((d) => d.id === id)! }
}

function verdictOf(...of: Parameters<typeof cell>): Verdict {
  const { scenario, design } = cell(...of)
  return checkScenario(scenario, design, ALL)
}

const TOUCHES = `task a
  guest_read(vm, gpa=0)

task b
  guest_read(vm, gpa=1P)
`

test('a mark that the set-up alone reaches is not reached', () => {
  const move = 'migrate(fd, page=0)'
  const reach = 'reach migrate-attempted\n'
  const before = verdictOf('gmem-6.18', move, `${TOUCHES}\n${reach}`)
  assert.equal(before.verdict, 'vacuous')
  assert.match(before.reason ?? '', /never reached: migrate-attempted/)
  const during = verdictOf('gmem-6.18', move, `task a\n  ${move}\n\n${reach}`)
  assert.equal(during.verdict, 'clean')
})

test('what the set-up shows is found, and comes first on every execution', () => {
  const of = ['upm', 'drain_lru()\n  compact()', TOUCHES] as const
  const { findings } = verdictOf(...of)
  assert.deepEqual(
    findings.map((f) => [f.id, f.first, f.steps, f.task]),
    [
      ['stale-secondary-mapping', true, 0, 'setup'],
      ['secondary-use-after-free', false, 0, 'setup'],
      ['uninitialised-page', false, findings[2]?.steps, 'b'],
    ],
  )
  const { scenario, design } = cell(...of)
  const { trace } = replayScenario(scenario, design, [], 'lowered')
  assert.deepEqual(
    trace.setUp.map((f) => f.id),
    ['stale-secondary-mapping', 'secondary-use-after-free'],
  )
  const limits = { executions: 1000, keepGoing: () => true }
  assert.equal(crossCheck(scenario, design, limits).outcome, 'agrees')
})
