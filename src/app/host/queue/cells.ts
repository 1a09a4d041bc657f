/** Jobs that are cells: a scenario on a design, asked a question; the answer is the verdict. */
import { createHash } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { designNamed } from '../../../hosts/index.js'
import { LitmusError } from '../../../litmus/error.js'
import { type Known, readScenario } from '../../../litmus/scenario.js'
import type { Limits, Question } from '../../ask.js'
import { cellTitle, type Verdict } from '../../verdict.js'
import type { Job } from '../job.js'
import { usualBytes } from '../memory.js'
import * as is from '../narrow.js'
import { packagedFile } from '../package.js'
import { startWorker } from '../pool.js'
import { packed, readLimits, readQuestion, readVerdict } from '../stored.js'
import { answer as answerOf } from '../together.js'
import { type Bench, type Hand, HandedOn, type Kind, Refusal } from './kind.js'

/** A cell as it travels. */
export interface AskedCell {
  readonly text: string
  /** Names that the text may use. */
  readonly known: Known
  readonly design: {
    readonly id: string
    /** Hash of the text of a design of the user's. */
    readonly hash?: string | undefined
  }
  readonly question: Question
  readonly limits: Limits
}

const readAsked = is.fields<AskedCell>({
  text: is.text,
  known: is.fields<Known>({ designs: is.list(is.text), findings: is.list(is.text) }),
  design: is.fields<AskedCell['design']>({
    id: is.text,
    hash: is.maybe(is.matching(/^[0-9a-f]{64}$/, 'a SHA-256 hash')),
  }),
  question: readQuestion,
  limits: readLimits,
})

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Where the modules lie that a design imports: on each machine elsewhere. */
const HERE = `${pathToFileURL(packagedFile('dist/src')).href}/`
const ANYWHERE = 'restrictedmem-package:'

/** A design's module in words that mean the same on every machine. */
export function portable(module: string): string {
  return module.replaceAll(HERE, ANYWHERE)
}

/** The cell of a job, and the text of its design if that has to travel too. */
export function askedCell({ text, known, design, question, limits }: Job): {
  readonly asked: AskedCell
  readonly module: string | undefined
} {
  const { id } = design
  const module = design.module === undefined ? undefined : portable(design.module)
  const named = module === undefined ? { id } : { id, hash: hashOf(module) }
  return { asked: { text, known, design: named, question, limits }, module }
}

export const CELLS: Kind<AskedCell, Verdict> = {
  name: 'cells',
  readAsked,
  readAnswer: readVerdict,
  packed,
  title: ({ text, design }) => {
    const [, scenario = ''] = /^litmus\s+(\S+)/m.exec(text) ?? []
    return cellTitle({ scenario, design: design.id })
  },
  found: (verdict) => verdict.findings.filter((f) => f.first).map((f) => f.id),
  hand: (threads) => new Thread(usualBytes(threads)),
}

/** @throws Refusal if a scenario can't be read, or names a design that there isn't */
function mustBeOurs({ text, known, design: { id, hash } }: AskedCell): void {
  if (hash === undefined && designNamed(id) === undefined) {
    throw new Refusal(`there is no design "${id}"`)
  }
  try {
    readScenario(text, known)
  } catch (error) {
    if (!(error instanceof LitmusError)) throw error
    throw new Refusal(`the scenario is none: ${error.line}:${error.column}: ${error.message}`)
  }
}

/** A worker thread that lives from job to job. */
class Thread implements Hand<AskedCell> {
  readonly #stop = new Int32Array(new SharedArrayBuffer(4))
  /** Most bytes of a cell if nobody says. */
  readonly #bytes: number
  #worker: Worker | undefined

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  async answer(asked: AskedCell, bench: Bench): Promise<Verdict | HandedOn> {
    const { design, signal, slice } = bench
    const { text, known, question } = asked
    const { id, hash } = asked.design
    mustBeOurs(asked)
    const travelled = hash === undefined ? undefined : await design(hash)
    const module = travelled?.replaceAll(ANYWHERE, HERE)
    const ref = { id, module, identity: hash ?? id }
    const { bytes = this.#bytes, milliseconds } = asked.limits
    const limits = { bytes, milliseconds }
    const cell = { number: 0, text, known, design: ref, question, limits, checkpoint: undefined }
    const job = Number.isFinite(slice.milliseconds) || slice.from ? { ...cell, slice } : cell
    Atomics.store(this.#stop, 0, 0)
    const halt = (): void => {
      Atomics.store(this.#stop, 0, 1)
    }
    if (signal.aborted) halt()
    signal.addEventListener('abort', halt, { once: true })
    this.#worker ??= startWorker(this.#stop)
    try {
      const last = await answerOf(this.#worker, job, (m) => {
        if (m.kind === 'notice') bench.onNotice(m.text)
      })
      if (last.kind === 'slice') return new HandedOn(last.snapshot, last.states)
      if (last.kind !== 'verdict') throw new Error(`a worker answers with ${last.kind}`)
      return last.verdict
    } catch (error) {
      // It may be in the middle of something that never ends.
      await this.end()
      throw error
    } finally {
      signal.removeEventListener('abort', halt)
    }
  }

  async end(): Promise<void> {
    await this.#worker?.terminate()
    this.#worker = undefined
  }
}
