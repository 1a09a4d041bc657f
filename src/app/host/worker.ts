/** A worker thread: does one job after the other, as it is given them or as it takes them from a list. */
import { parentPort, workerData } from 'node:worker_threads'
import { type Job, type List, type Message, type Start, takeNext } from './job.js'
import { assertSameCode } from './package.js'
import { type Client, mistakeIn, perform } from './perform.js'

const { stop, code } = workerData as Start

const client: Client = {
  send: (message: Message) => parentPort?.postMessage(message),
  stopped: () => Atomics.load(stop, 0) !== 0,
}

/** False if the job could not be done. */
async function run(job: Job): Promise<boolean> {
  try {
    assertSameCode(code)
    client.send(await perform(job, client))
    return true
  } catch (thrown) {
    const error = thrown as Error
    const text = mistakeIn(error, job)
    if (text !== undefined) client.send({ kind: 'mistake', job: job.number, text })
    else client.send({ kind: 'bug', job: job.number, text: error.stack ?? error.message })
    return false
  }
}

async function runList(list: List): Promise<void> {
  let job = list.first ?? takeNext(list)
  while (job !== undefined && !client.stopped()) {
    client.send({ kind: 'taken', job: job.number })
    if (!(await run(job))) return
    job = takeNext(list)
  }
  client.send({ kind: 'done' })
}

parentPort?.on('message', (order: Job | List) => {
  if ('jobs' in order) runList(order)
  else run(order)
})
