/** A worker thread: does one job after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import { LimitError } from '../../machine/fault.js'
import { UserError } from '../error.js'
import type { Job, Message, Start } from './job.js'
import { assertSameCode } from './package.js'
import { type Client, perform } from './perform.js'

const { stop, code } = workerData as Start

const client: Client = {
  send: (message: Message) => parentPort?.postMessage(message),
  stopped: () => Atomics.load(stop, 0) !== 0,
}

async function run(job: Job): Promise<Message> {
  assertSameCode(code)
  return perform(job, client)
}

/** What the user asked for and can't have; undefined if it is our mistake. */
function mistakeIn(error: Error, { design }: Job): string | undefined {
  if (error instanceof UserError) return error.message
  if (error instanceof LimitError) {
    return `on ${design.id} the scenario needs more than the model has: ${error.message}`
  }
  // What its code calls may have been given nonsense, too.
  if (design.module === undefined || !/\bdata:text\/javascript/.test(error.stack ?? '')) return
  return `the code of ${design.id} fails: ${error.message}`
}

parentPort?.on('message', (job: Job) => {
  run(job).then(client.send, (error: Error) => {
    const text = mistakeIn(error, job)
    if (text !== undefined) client.send({ kind: 'mistake', job: job.number, text })
    else client.send({ kind: 'bug', job: job.number, text: error.stack ?? error.message })
  })
})
