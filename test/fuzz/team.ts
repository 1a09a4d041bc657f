/** Threads that search cells together, as a check with several workers does. */
import { Worker } from 'node:worker_threads'
import { concludeShares, exploredBy, type ShareResult } from '../../src/app/shares.js'
import { CONTROL, type Share, tableOf } from '../../src/explore/states/shared.js'
import { pairOf } from './cells.js'
import type { Drawn } from './scenarios.js'
import type { ShareJob } from './share.js'
import type { Answer } from './ways.js'

const TABLE_BYTES = 1 << 20

export class Team {
  readonly #workers: readonly Worker[]

  constructor(most: number) {
    const url = new URL('./share.js', import.meta.url)
    this.#workers = Array.from({ length: most }, () => new Worker(url))
  }

  /** What so many of them say together. */
  async ask({ text, design }: Drawn, threads: number): Promise<Answer> {
    const control = new SharedArrayBuffer(CONTROL.WORDS * 4)
    const table = tableOf(TABLE_BYTES)
    const shares = await Promise.all(
      this.#workers.slice(0, threads).map((w, worker) => {
        const share: Share = { worker, control, table }
        return answer(w, { text, design, share })
      }),
    )
    const { scenario, design: own } = pairOf(text, design)
    const effort = { asMet: true, keepGoing: () => true, now: () => 0 }
    const verdict = concludeShares(scenario, own, effort, exploredBy([shares]), 0)
    return {
      by: `${threads} workers`,
      states: verdict.states,
      executions: verdict.executions,
      findings: new Map(verdict.findings.map((f) => [f.id, f.first])),
      outcomes: new Set(verdict.outcomes.map((o) => JSON.stringify(o.values))),
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map((w) => w.terminate()))
  }
}

function answer(worker: Worker, job: ShareJob): Promise<ShareResult | undefined> {
  return new Promise((resolve, reject) => {
    worker.once('message', (share: ShareResult | undefined) => {
      worker.off('error', reject)
      resolve(share)
    })
    worker.once('error', reject)
    worker.postMessage(job)
  })
}
