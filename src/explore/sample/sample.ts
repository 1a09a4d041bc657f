/**
 * Sampling: executions picked at random, judged as in a search. Nothing is claimed about what was
 * not run.
 */
import { Execution, type Listener, type Sighting } from '../../cell/execution.js'
import type { Judges } from '../../cell/judges.js'
import { effectAddr } from '../../machine/effects.js'
import { alternatives, taskCount } from '../../machine/machine.js'
import { pendingOf } from '../../machine/task.js'
import { type Witness, Witnesses } from '../listen/witnesses.js'
import type { Draw, Sampler, Shape } from './samplers.js'
import { RandomWalk } from './samplers.js'

export interface SampleOptions {
  readonly samplers: readonly Sampler[]
  /** How many executions, over all samplers. */
  readonly runs: number
  readonly draw: Draw
  /** Hear of findings, and of states at rest. */
  readonly listeners?: readonly Listener[]
  /** Called before each run; false stops. */
  readonly keepGoing: (runs: number) => boolean
}

/** What one sampler did. */
export interface SamplerResult {
  readonly name: string
  readonly runs: number
  /** How many of them were cut off after `MOST_STEPS`. */
  readonly cut: number
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
/** An execution that is longer is cut off: what follows is not judged, nor how it ends. */
export const MOST_STEPS = 5000

interface Count {
  runs: number
  cut: number
  readonly found: Record<string, number>
}

class Sampling implements Listener {
  readonly #options: SampleOptions
  readonly #run: Execution
  readonly #witnesses = new Witnesses(true)
  readonly #counts: Count[]
  readonly #accesses = new Map<number, number[]>()
  /** By the execution under way. */
  #found = new Set<string>()
  #isCut = false
  #longest = 1
  #steps = 0

  constructor(judges: Judges, options: SampleOptions) {
    const { listeners = [] } = options
    this.#options = options
    this.#run = new Execution(judges, [this.#witnesses, this, ...listeners])
    this.#counts = options.samplers.map(() => ({ runs: 0, cut: 0, found: {} }))
  }

  found({ observed }: Sighting): void {
    for (const { id } of observed) this.#found.add(id)
  }

  run(): SampleResult {
    const { runs, samplers, keepGoing } = this.#options
    for (let i = 0; i < PILOTS && keepGoing(0); i++) this.#execute(new RandomWalk())
    let done = 0
    while (done < runs && keepGoing(done)) {
      const i = done++ % samplers.length
      const counts = this.#counts[i] as Count
      counts.runs++
      for (const id of this.#execute(samplers[i] as Sampler)) {
        counts.found[id] = (counts.found[id] ?? 0) + 1
      }
      if (this.#isCut) counts.cut++
    }
    this.#run.backTo(0)
    return {
      runs: done,
      steps: this.#steps,
      finished: done === runs,
      witnesses: this.#witnesses.all,
      samplers: samplers.map((s, i) => ({
        name: s.name,
        guarantee: s.guarantee,
        ...(this.#counts[i] as Count),
      })),
    }
  }

  #shape(): Shape {
    const accesses = new Map([...this.#accesses].filter(([, by]) => by.filter(Boolean).length > 1))
    return { steps: this.#longest, accesses }
  }

  /** One execution; returns the findings that it showed. */
  #execute(sampler: Sampler): ReadonlySet<string> {
    const { draw } = this.#options
    const run = this.#run
    const touched = new Map<number, number[]>()
    run.backTo(0)
    this.#found = new Set()
    sampler.begin(this.#shape(), draw)
    while (run.ready() !== 0 && run.depth < MOST_STEPS) {
      const ready = tasksOf(run.ready())
      const task = ready.length === 1 ? (ready[0] as number) : sampler.pick(ready, draw)
      const announced = pendingOf(task)
      count(touched, effectAddr(announced), task)
      const ways = alternatives(task)
      this.#steps++
      run.take(task, ways > 1 ? draw(ways) : 0)
      sampler.stepped(task, announced, draw)
    }
    this.#isCut = run.ready() !== 0
    this.#learn(touched)
    return this.#found
  }

  #learn(touched: ReadonlyMap<number, readonly number[]>): void {
    this.#longest = Math.max(this.#longest, this.#run.depth)
    for (const [word, by] of touched) {
      const most = this.#accesses.get(word) ?? []
      by.forEach((n, task) => {
        most[task] = Math.max(most[task] ?? 0, n)
      })
      this.#accesses.set(word, most)
    }
  }
}

function tasksOf(bits: number): number[] {
  const tasks: number[] = []
  for (let n = 0; n < taskCount(); n++) if ((bits >> n) & 1) tasks.push(n)
  return tasks
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
