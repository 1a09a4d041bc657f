/**
 * Random programs on two kernels at once: the real one answers in batches, the model while it is
 * under way.
 */
import { LimitError } from '../machine/fault.js'
import { compareAll, type Difference, firstDifference, type Runner } from './compare.js'
import { type Family, generate } from './generate.js'
import type { Op, Recorded, Result } from './program.js'
import { shrink } from './shrink.js'

/** A kernel that runs programs in batches, each program from a fresh start. */
export interface Kernel {
  run(programs: readonly (readonly Op[])[]): Promise<readonly (readonly Result[])[]>
  /** Why a program is not run at all, if so. */
  refuses(ops: readonly Op[]): string | undefined
}

export interface Batch {
  /** What the real kernel answered. */
  readonly programs: readonly Recorded[]
  readonly differences: readonly Difference[]
}

/** Programs that are under way at a time. */
const BATCH = 50

/** Run `count` programs from seed `first` on. */
export async function* differential(
  family: Family,
  first: number,
  count: number,
  kernel: Kernel,
  model: Runner,
): AsyncGenerator<Batch> {
  for (let from = first; from < first + count; from += BATCH) {
    const seeds = Array.from({ length: Math.min(BATCH, first + count - from) }, (_, i) => from + i)
    const programs = seeds.map((seed) => ({ seed, ops: generate(family, seed) }))
    const answered = kernel.run(programs.map((p) => p.ops))
    const others = programs.map((p) => onModel(model, p))
    const results = await answered
    const answeredBy = programs.map((p, i) => ({ ...p, res: results[i] ?? [] }))
    yield { programs: answeredBy, differences: compareAll(answeredBy, others) }
  }
}

/** A program on the model. An error of its own names the program. */
function onModel(model: Runner, { seed, ops }: { seed: number; ops: readonly Op[] }): Result[] {
  try {
    return model.run(ops)
  } catch (error) {
    throw new Error(`the model failed on seed ${seed}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** What the model says; undefined of a program that needs more than the model has. */
function within(model: Runner, ops: readonly Op[]): readonly Result[] | undefined {
  try {
    return model.run(ops)
  } catch (error) {
    if (error instanceof LimitError) return undefined
    throw error
  }
}

/**
 * The shortest program on which the two differ at the same kind of call; undefined if the
 * difference does not come back when the program runs again.
 */
export async function shrinkDifference(
  { program, call }: Difference,
  kernel: Kernel,
  model: Runner,
): Promise<Difference | undefined> {
  const name = program.ops[call]?.[0]
  let best: Difference | undefined
  const differs = async (ops: readonly Op[]): Promise<boolean> => {
    if (kernel.refuses(ops) !== undefined) return false
    const other = within(model, ops)
    if (other === undefined) return false
    const [res = []] = await kernel.run([ops])
    const at = firstDifference(res, other)
    if (at < 0 || ops[at]?.[0] !== name) return false
    best = { program: { seed: program.seed, ops, res }, call: at, other }
    return true
  }
  const upToCall = program.ops.slice(0, call + 1)
  if (await differs(upToCall)) await shrink(upToCall, differs)
  return best
}
