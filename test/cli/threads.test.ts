/** Threads that end without a word: whoever waits for one is told, and does not wait for ever. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { type Job, WorkerBug } from '../../src/app/host/job.js'
import { answer } from '../../src/app/host/together.js'
import { answerOf } from '../../src/patch/host/pool.js'

const ends = (): Worker => new Worker('process.exit(0)', { eval: true })
const dies = (): Worker => new Worker("throw new Error('of this')", { eval: true })

const design = { id: 'v10', module: undefined, identity: 'v10' }
const job: Job = {
  ...{ number: 0, text: '', known: { designs: [], findings: [] }, design },
  ...{ question: {}, limits: {}, checkpoint: undefined },
}

test('a thread that ends, or dies, ends the wait for its answer', async () => {
  const waits = [(w: Worker) => answerOf(w, 1), (w: Worker) => answer(w, job, () => {})]
  for (const wait of waits) {
    await assert.rejects(wait(ends()), WorkerBug)
    await assert.rejects(wait(dies()), /of this/)
  }
})
