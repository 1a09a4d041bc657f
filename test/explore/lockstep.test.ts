import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { expectationFor } from '../../src/app/expect.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { bootScenario } from '../../src/cell/boot.js'
import { Execution } from '../../src/cell/execution.js'
import { Judges } from '../../src/cell/judges.js'
import type { Design } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import type { Scenario } from '../../src/litmus/scenario.js'
import { mem } from '../../src/machine/arena.js'
import {
  alternatives,
  hasEnded,
  type Mode,
  type StepResult,
  taskCount,
  variable,
} from '../../src/machine/machine.js'
import { allStructs } from '../../src/machine/struct.js'
import { Task } from '../../src/machine/task.js'

const STEPS = 400

/** A hash of every kernel object; tasks and their frames are where the two ways differ. */
function kernelHash(): number {
  let h = 0
  for (const s of allStructs()) {
    if (s.name === Task.name) continue
    for (let i = 0; i < s.capacity; i++) {
      const at = s.base + i * s.words
      if (mem[at] === 0) continue
      for (let w = 0; w < s.words; w++)
        h = Math.imul(h ^ ((mem[at + w] as number) + at + w), 0x01000193)
    }
  }
  return h
}

/** What can be seen of each state of one execution; hashes every few steps, for speed. */
function history(
  scenario: Scenario,
  design: Design,
  mode: Mode,
  picks: readonly number[],
): string[] {
  const seen: string[] = []
  const judges = new Judges([])
  bootScenario(scenario, design, mode, { booted: () => judges.attach() })
  let said = ''
  const hear = ({ fault, remarks }: StepResult): void => {
    said = [fault?.id ?? '', ...remarks.map((r) => r.id)].join()
  }
  const run = new Execution(judges, [{ stepped: hear }])
  for (let i = 0; i < STEPS && !run.over; i++) {
    const ready = [...new Set(run.moves().map((m) => m.task))]
    if (ready.length === 0) break
    const pick = picks[i % picks.length] as number
    const task = ready[pick % ready.length] as number
    run.take(task, pick % alternatives(task))
    const results = scenario.variables.map((v) => variable(v.index)).join()
    const ended = Array.from({ length: taskCount() }, (_, t) => Number(hasEnded(t))).join('')
    seen.push(
      `${task}|${ready.join()}|${ended}|${results}|${said}|${i % 8 === 0 ? kernelHash() : ''}`,
    )
  }
  judges.detach()
  seen.push(String(kernelHash()))
  return seen
}

describe('lowered and direct kernel code agree step by step over random schedules', () => {
  for (const { scenario } of builtInScenarios()) {
    test(scenario.name, () => {
      const schedule = fc.array(fc.nat(11), { minLength: 1, maxLength: 40 })
      for (const design of DESIGNS) {
        if (expectationFor(scenario, design)?.outcome === 'skip') continue
        fc.assert(
          fc.property(schedule, (picks) => {
            const lowered = history(scenario, design, 'lowered', picks)
            assert.deepEqual(history(scenario, design, 'direct', picks), lowered)
          }),
          { numRuns: 5 },
        )
      }
    })
  }
})
