/**
 * From a scenario and a design to a machine that stands before the first step of the scenario's
 * tasks: boot the kernel, run the set-up to its end, load the tasks.
 */

import { type Design, locksOf, replacementsOf } from '../designs/design.js'
import { doExit } from '../kernel/exit.js'
import { kernelInit } from '../kernel/init.js'
import { taskWorkRun } from '../kernel/task_work.js'
import type { Scenario } from '../litmus/scenario.js'
import { activate, type FnTag } from '../machine/fn.js'
import {
  boot,
  load,
  type Mode,
  type Program,
  type StepResult,
  type TaskProgram,
} from '../machine/machine.js'
import { runToEnd } from '../machine/set-up.js'
import { processInit } from '../user/layout.js'

/** `finally` runs when the scenario's tasks have ended, the exit of the process after it. */
export const FINALLY_PHASE = 1
export const EXIT_PHASE = 2

/** The set-up of a scenario failed; the scenario can't be checked on this design. */
export class SetupFailure extends Error {}

function call(f: FnTag, text: string): TaskProgram {
  return { name: 'init', operations: [{ fn: f, args: [], text }] }
}

function runAlone(program: Program, what: string, stepped?: (result: StepResult) => void): void {
  load(program)
  const trouble = runToEnd(stepped)
  if (trouble === undefined) return
  const why = typeof trouble === 'string' ? trouble : `${trouble.id}: ${trouble.message}`
  throw new SetupFailure(`${what}: ${why}`)
}

/** Boot a design's kernel: init, then the design's initcall. */
export function bootKernel(design: Design, mode: Mode): void {
  activate(replacementsOf(design), design.slots)
  boot(mode, () => {}, locksOf(design))
  const power = design.host?.init
  if (power !== undefined) {
    runAlone({ tasks: [call(power, power.cName)], faults: 0 }, 'the host has no power')
  }
  runAlone({ tasks: [call(kernelInit, 'kernel_init')], faults: 0 }, 'the kernel does not boot')
  runAlone({ tasks: [call(processInit, 'process_init')], faults: 0 }, 'the process does not start')
  if (design.init !== undefined) {
    runAlone(
      { tasks: [call(design.init, design.init.cName)], faults: 0 },
      `the initcall of ${design.id} fails`,
    )
  }
}

/** Who looks on while a scenario is set up. */
export interface Onlooker {
  /** The kernel has booted; the set-up comes next. */
  booted?(): void
  /** The set-up has taken a step. */
  stepped?(result: StepResult): void
}

/**
 * Bring the machine to the scenario's initial state.
 *
 * @throws SetupFailure if the kernel, or the set-up, does not come to its end.
 */
export function bootScenario(
  scenario: Scenario,
  design: Design,
  mode: Mode,
  onlooker: Onlooker = {},
): void {
  bootKernel(design, mode)
  onlooker.booted?.()
  const setUp = { ...scenario.setup, exitWork: taskWorkRun }
  runAlone(setUp, 'the set-up fails', (result) => onlooker.stepped?.(result))
  load(mainProgram(scenario))
}

/** The scenario's tasks, then `finally`, then the exit of the process. */
function mainProgram(scenario: Scenario): Program {
  const last = (scenario.finally?.tasks ?? []).map((t) => ({ ...t, phase: FINALLY_PHASE }))
  const exit: TaskProgram = {
    name: 'exit',
    phase: EXIT_PHASE,
    operations: [{ fn: doExit, args: [], text: 'do_exit()' }],
  }
  return {
    tasks: [...scenario.main.tasks, ...last, exit],
    faults: scenario.main.faults,
    exitWork: taskWorkRun,
  }
}
