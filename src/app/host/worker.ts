/** A worker thread: does one job after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Job, Message, Start } from './job.js'
import { assertSameCode } from './package.js'
import { type Client, mistakeIn, perform } from './perform.js'

const { stop, code } = workerData as Start

const client: Client = {
  send: (message: Message) => parentPort?.postMessage(message),
  stopped: () => Atomics.load(stop, 0) !== 0,
}

async function run(job: Job): Promise<Message> {
  assertSameCode(code)
  return perform(job, client)
}

parentPort?.on('message', (job: Job) => {
  run(job).then(client.send, (error: Error) => {
    const text = mistakeIn(error, job)
    if (text !== undefined) client.send({ kind: 'mistake', job: job.number, text })
    else client.send({ kind: 'bug', job: job.number, text: error.stack ?? error.message })
  })
})
