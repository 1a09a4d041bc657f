/**
 * Sampling: executions picked at random, judged as in a search. Nothing is claimed about what was
 * not run.
 */

import { EXIT_PHASE } from '../../cell/boot.js'
import { describeStuck } from '../../cell/deadlock.js'
import type { Judges, Observed } from '../../cell/judges.js'
import type { Move } from '../../cell/schedule.js'
import { undoMark, undoTo } from '../../machine/arena.js'
import { effectAddr } from '../../machine/effects.js'
import { faultingFunction, functionName, standsIn } from '../../machine/frames.js'
import {
  allEnded,
  alternatives,
  canStep,
  endedBelow,
  phaseOf,
  step,
  taskCount,
  taskName,
} from '../../machine/machine.js'
import { taskNumber } from '../../machine/task.js'
import type { Witness } from '../listen/witnesses.js'
import type { Draw, Sampler, Shape } from './samplers.js'
import { RandomWalk } from './samplers.js'

export interface SampleOptions {
  readonly samplers: readonly Sampler[]
  /** How many executions, over all samplers. */
  readonly runs: number
  readonly draw: Draw
  readonly atRest: (schedule: () => readonly Move[]) => readonly Observed[]
  /** Called before each run; false stops. */
  readonly keepGoing: (runs: number) => boolean
}

/** What one sampler did. */
export interface SamplerResult {
  readonly name: string
  readonly runs: number
  readonly guarantee: string
  /** By finding: how many runs showed it. */
  readonly found: Readonly<Record<string, number>>
}

export interface SampleResult {
  readonly runs: number
  readonly steps: number
  /** False if `keepGoing` said stop. */
  readonly finished: boolean
  readonly witnesses: ReadonlyMap<string, Witness>
  readonly samplers: readonly SamplerResult[]
}

/** Runs from which the shape of the scenario's executions is learnt. */
const PILOTS = 10
/** An execution that is longer is cut off. */
const MOST_STEPS = 5000

interface Count {
  runs: number
  readonly found: Record<string, number>
}

class Sampling {
  readonly #judges: Judges
  readonly #options: SampleOptions
  readonly #root = undoMark()
  readonly #witnesses = new Map<string, Witness>()
  readonly #counts: Count[]
  readonly #accesses = new Map<number, number[]>()
  #longest = 1
  #steps = 0
  #schedule: Move[] = []
  #preemptions = 0

  constructor(judges: Judges, options: SampleOptions) {
    this.#judges = judges
    this.#options = options
    this.#counts = options.samplers.map(() => ({ runs: 0, found: {} }))
  }

  run(): SampleResult {
    const { runs, samplers, keepGoing } = this.#options
    for (let i = 0; i < PILOTS; i++) this.#execute(new RandomWalk())
    let done = 0
    while (done < runs && keepGoing(done)) {
      const i = done++ % samplers.length
      const counts = this.#counts[i] as Count
      counts.runs++
      for (const id of this.#execute(samplers[i] as Sampler)) {
        counts.found[id] = (counts.found[id] ?? 0) + 1
      }
    }
    undoTo(this.#root)
    return {
      runs: done,
      steps: this.#steps,
      finished: done === runs,
      witnesses: this.#witnesses,
      samplers: samplers.map((s, i) => ({
        name: s.name,
        guarantee: s.guarantee(this.#shape()),
        ...(this.#counts[i] as Count),
      })),
    }
  }

  #shape(): Shape {
    const accesses = new Map([...this.#accesses].filter(([, by]) => by.filter(Boolean).length > 1))
    return { tasks: taskCount(), steps: this.#longest, accesses }
  }

  /** One execution; returns the findings that it showed. */
  #execute(sampler: Sampler): ReadonlySet<string> {
    const { draw } = this.#options
    const found = new Set<string>()
    const touched = new Map<number, number[]>()
    undoTo(this.#root)
    this.#schedule = []
    this.#preemptions = 0
    sampler.begin(this.#shape(), draw)
    let running = -1
    for (let n = 0; n < MOST_STEPS; n++) {
      const ready: number[] = []
      for (let t = 0; t < taskCount(); t++) if (canStep(t)) ready.push(t)
      if (ready.length === 0) {
        this.#stuck(found)
        break
      }
      const task = ready.length === 1 ? (ready[0] as number) : sampler.pick(ready, draw)
      if (running >= 0 && running !== task && ready.includes(running)) this.#preemptions++
      const announced = taskNumber(task).pending
      count(touched, effectAddr(announced), task)
      const ended = this.#step(task, draw, found)
      sampler.stepped(task, announced, draw)
      running = task
      if (ended) break
    }
    this.#learn(touched)
    return found
  }

  #step(task: number, draw: Draw, found: Set<string>): boolean {
    const at = standsIn(task)
    const ways = alternatives(task)
    const choice = ways > 1 ? draw(ways) : 0
    this.#schedule.push({ task, choice, alternatives: ways })
    this.#steps++
    const result = step(task, choice)
    const where = result.fault === undefined ? functionName(at) : faultingFunction()
    this.#note(this.#judges.afterStep(result), task, where, found)
    if (result.fault?.kind === 'undefined') return true
    if (endedBelow(EXIT_PHASE)) this.#atEnds(task, found)
    return false
  }

  #atEnds(task: number, found: Set<string>): void {
    const exit = taskCount() - 1
    if (phaseOf(exit) === EXIT_PHASE && taskNumber(exit).started === 0) {
      this.#note(
        this.#options.atRest(() => [...this.#schedule]),
        task,
        'user mode',
        found,
      )
    } else if (allEnded()) this.#note(this.#judges.atEnd(), task, 'do_exit', found)
  }

  #stuck(found: Set<string>): void {
    const stuck = describeStuck()
    if (stuck === undefined) return
    const observed = this.#judges.stuck('deadlock', stuck.message)
    this.#note(observed, stuck.task, functionName(standsIn(stuck.task)), found)
  }

  #note(observed: readonly Observed[], task: number, where: string, found: Set<string>): void {
    for (const seen of observed) {
      const { id, first } = seen
      found.add(id)
      const known = this.#witnesses.get(id)
      if (known !== undefined && !this.#isBetter(known, first)) continue
      this.#witnesses.set(id, {
        ...seen,
        schedule: [...this.#schedule],
        preemptions: this.#preemptions,
        task: taskName(task),
        function: where,
      })
    }
  }

  /** Nothing wrong before it is better, then fewer preemptions. */
  #isBetter(known: Witness, first: boolean): boolean {
    return first === known.first ? this.#preemptions < known.preemptions : first
  }

  #learn(touched: ReadonlyMap<number, readonly number[]>): void {
    this.#longest = Math.max(this.#longest, this.#schedule.length)
    for (const [word, by] of touched) {
      const most = this.#accesses.get(word) ?? []
      by.forEach((n, task) => {
        most[task] = Math.max(most[task] ?? 0, n)
      })
      this.#accesses.set(word, most)
    }
  }
}

function count(touched: Map<number, number[]>, word: number, task: number): void {
  if (word === 0) return
  const by = touched.get(word) ?? new Array<number>(taskCount()).fill(0)
  by[task] = (by[task] ?? 0) + 1
  touched.set(word, by)
}

/**
 * Run executions from the machine's present state, which must have been booted for `lowered` with
 * all accesses announced; the machine is in that state again afterwards.
 */
export function sample(judges: Judges, options: SampleOptions): SampleResult {
  return new Sampling(judges, options).run()
}
