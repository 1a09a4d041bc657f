/**
 * `conform --live` by way of a queue: ranges of seeds go to workers whose kernel is of the same
 * release. What differs there is run once more here, to be shown.
 */
import { UserError } from '../app/error.js'
import * as is from '../app/host/narrow.js'
import { askAll } from '../app/host/queue/ask.js'
import { type Bench, type Hand, type Kind, Refusal } from '../app/host/queue/kind.js'
import type { Difference } from '../conform/compare.js'
import { differential } from '../conform/differential.js'
import { FAMILIES, type Family } from '../conform/generate.js'
import { Model, profileOf } from '../conform/model.js'
import { NoLiveKernel } from './libc.js'
import { Oracle } from './oracle.js'
import { type Capabilities, missingFor } from './probe.js'

/** Programs of one job. */
const RANGE = 200

/** Programs of a family from seed `first` on. */
export interface Range {
  readonly family: Family
  readonly first: number
  readonly count: number
}

/** What came of a range. */
export interface Tried {
  readonly programs: number
  readonly calls: number
  /** Seeds of programs that differ. */
  readonly differing: readonly number[]
}

/** Jobs that are programs for the kernel of one release. */
function programsFor({ release, arch }: Capabilities): Kind<Range, Tried> {
  return {
    name: `programs-${release}-${arch}`.replaceAll(/[^\w.-]/g, '_'),
    readAsked: is.fields<Range>({
      family: is.oneOf(...FAMILIES),
      first: is.count,
      count: is.count,
    }),
    readAnswer: is.fields<Tried>({
      programs: is.count,
      calls: is.count,
      differing: is.list(is.count),
    }),
    packed: (_, value) => value,
    title: ({ family, first, count }) => `${count} programs of ${family} from seed ${first}`,
    found: ({ differing }) => differing.map(() => 'difference'),
    hand: () => new Runner(release),
  }
}

/** Jobs that this machine's kernel can do. @throws UserError if there is none that can be asked */
export async function programsHere(): Promise<Kind<Range, Tried>> {
  try {
    const oracle = await Oracle.start()
    const capabilities = await oracle.probe()
    await oracle.end()
    return programsFor(capabilities)
  } catch (error) {
    if (error instanceof NoLiveKernel) throw new UserError(`--live: ${error.message}`)
    throw error
  }
}

/** Runs programs on this machine's kernel and on the model. */
class Runner implements Hand<Range> {
  readonly #model: Model
  #oracle: Oracle | undefined
  #missing: (family: Family) => string | undefined = () => undefined

  constructor(release: string) {
    this.#model = new Model(profileOf(release).profile)
  }

  async answer({ family, first, count }: Range, { signal }: Bench): Promise<Tried> {
    const oracle = await this.#ready()
    const missing = this.#missing(family)
    if (missing !== undefined) throw new Refusal(missing)
    const differing: number[] = []
    let [ran, calls] = [0, 0]
    for await (const b of differential(family, first, count, oracle, this.#model)) {
      ran += b.programs.length
      calls += b.programs.reduce((sum, p) => sum + p.res.length, 0)
      differing.push(...b.differences.map((d) => d.program.seed))
      if (signal.aborted) break
    }
    return { programs: ran, calls, differing }
  }

  async #ready(): Promise<Oracle> {
    if (this.#oracle !== undefined) return this.#oracle
    const oracle = await Oracle.start()
    const capabilities = await oracle.probe()
    this.#missing = (family) => missingFor(family, capabilities)
    this.#oracle = oracle
    return oracle
  }

  async end(): Promise<void> {
    await this.#oracle?.end()
    this.#oracle = undefined
  }
}

export interface Elsewhere {
  readonly url: string
  readonly patience: number
  readonly signal: AbortSignal
  /** Something that the user should know. */
  onNotice(text: string): void
  onProgress(programs: number, differ: number): void
}

/** Have workers run a range of programs. */
export async function runElsewhere(
  { family, first, count }: Range,
  capabilities: Capabilities,
  oracle: Oracle,
  model: Model,
  { url, patience, signal, onNotice, onProgress }: Elsewhere,
): Promise<{ programs: number; calls: number; differences: Difference[] }> {
  const ranges: Range[] = []
  for (let from = first; from < first + count; from += RANGE) {
    ranges.push({ family, first: from, count: Math.min(RANGE, first + count - from) })
  }
  let [ran, calls, differ] = [0, 0, 0]
  const { answers } = await askAll(programsFor(capabilities), ranges, new Map(), {
    ...{ url, patience, signal, what: `conform ${family}`, onNotice },
    onAnswer: (tried) => {
      ran += tried.programs
      calls += tried.calls
      differ += tried.differing.length
    },
    onDone: () => onProgress(ran, differ),
  })
  const differences: Difference[] = []
  for (const seed of answers.flatMap((tried) => tried?.differing ?? [])) {
    const own: Difference[] = []
    for await (const b of differential(family, seed, 1, oracle, model)) own.push(...b.differences)
    if (own.length === 0)
      onNotice(`${family}: seed ${seed} differed on a worker, and does not here`)
    differences.push(...own)
  }
  return { programs: ran, calls, differences }
}
