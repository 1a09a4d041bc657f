/** Random small programs: two to four tasks of three to eight calls, from a seed. */
import type { Operation, Program } from '../../src/machine/machine.js'
import { boot, load, type Mode } from '../../src/machine/machine.js'
import { BENCH_LOCKS, REPERTOIRE, setUpBench } from './repertoire.js'

/** Numbers below `n` from a seed: the same in every run. */
export type Draw = (n: number) => number

/** A program with its number, from which it can be made again. */
export interface Sample {
  readonly seed: number
  readonly program: Program
}

/** A generator of pseudo-random numbers (mulberry32). */
export function drawFrom(seed: number): Draw {
  let state = seed | 0
  return (n) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (((t ^ (t >>> 14)) >>> 0) % 1_000_003) % n
  }
}

function operations(draw: Draw, calls: number, from: readonly number[], task: number): Operation[] {
  const head: Operation[] = []
  const tail: Operation[] = []
  while (head.length + tail.length < calls) {
    const { open, close, range } = REPERTOIRE[
      from[draw(from.length)] as number
    ] as (typeof REPERTOIRE)[number]
    const args = range === 0 ? [] : [{ value: draw(range) }]
    const text = `${open.cName}(${args.map((a) => a.value).join()})`
    head.push({ fn: open, args, text, variable: task * 8 + (head.length % 8) })
    // A section is closed before or at the end of its task, the last one opened first.
    if (close === undefined) continue
    const closing = { fn: close, args: [], text: `${close.cName}()` }
    if (draw(2) === 0) head.push(closing)
    else tail.unshift(closing)
  }
  return [...head, ...tail]
}

/** The program of a seed. Its tasks use a few of the calls, so that they meet. */
export function sampleOf(seed: number): Sample {
  const draw = drawFrom(seed)
  const tasks = 2 + [0, 0, 0, 1, 1, 2][draw(6)]!
  const kinds = 2 + draw(5)
  const from = Array.from({ length: kinds }, () => draw(REPERTOIRE.length))
  const calls = tasks === 2 ? 8 : tasks === 3 ? 5 : 3
  return {
    seed,
    program: {
      faults: draw(3) === 0 ? 1 : 0,
      tasks: Array.from({ length: tasks }, (_, t) => ({
        name: `t${t}`,
        operations: operations(draw, 1 + draw(calls), from, t),
      })),
    },
  }
}

/** Bring the machine to the program's initial state. `afterBoot` comes before it is loaded. */
export function bootSample(sample: Sample, mode: Mode, afterBoot: () => void): void {
  boot(mode, setUpBench, BENCH_LOCKS)
  afterBoot()
  load(sample.program)
}

/** As text, for a message about a program that went wrong. */
export function describeSample({ seed, program }: Sample): string {
  const tasks = program.tasks.map((t) => `${t.name}: ${t.operations.map((o) => o.text).join('; ')}`)
  return `seed ${seed}, ${program.faults} faults\n  ${tasks.join('\n  ')}`
}
