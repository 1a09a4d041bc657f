/** One of several workers on a race: gets ready, waits to be told to go, searches its share. */
import { parentPort, workerData } from 'node:worker_threads'
import { Judges } from '../src/cell/judges.js'
import { search } from '../src/explore/prove/search.js'
import type { Share } from '../src/explore/states/shared.js'
import { bootRace, type RaceSize, raceJudge } from './race.js'

const { size, share } = workerData as { size: RaceSize; share: Share }
const judges = new Judges([raceJudge])

function run(of: RaceSize, among: Share | undefined): number {
  bootRace(of)
  judges.attach()
  const { states, finished } = search(judges, {
    bound: undefined,
    keepGoing: () => true,
    share: among,
  })
  judges.detach()
  if (!finished) throw new Error('a race with a cycle is not for several workers')
  return states
}

// What V8 learns on a small race serves the large one.
run({ vcpus: 2, punches: 1, migrations: 1, rounds: 1 }, undefined)
parentPort?.on('message', () => {
  parentPort?.postMessage(run(size, share))
  parentPort?.close()
})
parentPort?.postMessage('ready')
