/**
 * Runs kernel code for a replay: single calls to their end, or several tasks of which the test
 * says who goes on and how far. What goes wrong is kept as findings, not thrown.
 */

import { bootKernel } from '../../src/cell/boot.js'
import { Execution, type Listener } from '../../src/cell/execution.js'
import { Judges } from '../../src/cell/judges.js'
import type { Design } from '../../src/designs/design.js'
import { taskWorkRun } from '../../src/kernel/task_work.js'
import type { FnTag } from '../../src/machine/fn.js'
import { backtrace, faultingStack, type Level } from '../../src/machine/frames.js'
import { canStep, hasDied, hasEnded, load, variable } from '../../src/machine/machine.js'
import type { Sanitizer } from '../../src/sanitizers/sanitizer.js'
import { sleepInAtomic } from '../../src/sanitizers/sleep-in-atomic.js'

let findings: string[] = []
let stacks: string[][] = []
let place = ''

/** Ids of the findings since the last time, in order. */
export function takeFindings(): string[] {
  const taken = findings
  findings = []
  return taken
}

/** The call stacks of tasks that died, were reported or got stuck since the last time. */
export function takeStacks(): string[][] {
  const taken = stacks
  stacks = []
  return taken
}

function keepStack(stack: readonly Level[]): void {
  stacks.push(stack.map(({ cName }) => cName))
}

/** Kernel code of the test tells where it is, so that a task can be stopped there. */
export function arrive(where: string): void {
  place = where
}

/** Keeps the stack of who sleeps, as a kernel prints it with the splat. */
const sleepers: Sanitizer = {
  ...sleepInAtomic,
  mightSleep(task, where, context) {
    const report: typeof context.report = (...splat) => {
      context.report(...splat)
      keepStack(backtrace(task.number))
    }
    sleepInAtomic.mightSleep?.(task, where, { report, crashed: context.crashed })
  },
}

const listener: Listener = {
  stepped({ fault }) {
    if (fault !== undefined) keepStack(faultingStack())
  },
  found({ observed }) {
    findings.push(...observed.map(({ id }) => id))
  },
}

let judges = new Judges([])

/** Boot a design's kernel; a function that may sleep is reported in atomic context. */
export function bootRecorded(design: Design): void {
  bootKernel(design, 'lowered')
  findings = []
  stacks = []
  judges = new Judges([sleepers])
  judges.attach()
}

/** More steps than any call here takes, unless it goes on for ever. */
const MANY_STEPS = 200_000

export type Call = readonly [f: FnTag, ...args: unknown[]]

/** Tasks of one call each; nobody moves unless told to. */
export class Tasks {
  readonly #run: Execution

  constructor(...calls: readonly Call[]) {
    load({
      faults: 0,
      exitWork: taskWorkRun,
      tasks: calls.map(([fn, ...args], n) => ({
        name: fn.cName,
        operations: [{ fn, args: args.map((value) => ({ value })), variable: n, text: fn.cName }],
      })),
    })
    this.#run = new Execution(judges, [listener])
  }

  /** Let a task go on until its kernel code arrives at a place. False if it never does. */
  until(n: number, where: string): boolean {
    place = ''
    this.steps(n, MANY_STEPS, () => place === where)
    return place === where
  }

  /** Let a task run to its end and give its result; undefined if it dies or never gets there. */
  finish(n: number): number | undefined {
    this.steps(n, MANY_STEPS)
    return this.ended(n)
  }

  /** The result of a task that has returned. */
  ended(n: number): number | undefined {
    return hasEnded(n) && !hasDied(n) ? variable(n) : undefined
  }

  /** At most so many steps of a task; fewer if it ends, cannot go on, or `enough` says so. */
  steps(n: number, most: number, enough: () => boolean = () => false): void {
    for (let i = 0; i < most && canStep(n); i++) {
      this.#run.take(n, 0)
      if (enough()) return
    }
    if (this.isStuck(n)) keepStack(backtrace(n))
  }

  /** Is a task under way and unable to take a step? */
  isStuck(n: number): boolean {
    return !hasEnded(n) && !canStep(n)
  }
}

/** Call a kernel function with nobody else in the machine; NaN if it does not return. */
export function call(fn: FnTag, ...args: unknown[]): number {
  return new Tasks([fn, ...args]).finish(0) ?? Number.NaN
}
