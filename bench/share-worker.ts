/** One of several workers on a search: gets ready, waits to be told to go, searches its share. */
import { parentPort, workerData } from 'node:worker_threads'
import { loadDesigns, loadScenarios } from '../src/app/host/index.js'
import { Cell } from '../src/cell/cell.js'
import { Judges } from '../src/cell/judges.js'
import { search } from '../src/explore/prove/search.js'
import type { Share } from '../src/explore/states/shared.js'
import { bootRace, type RaceSize, raceJudge } from './race.js'

/** What is searched: the race, or a scenario, by name or path, on a design. */
export type Searched = { readonly race: RaceSize } | { readonly cell: readonly [string, string] }

const { what, share } = workerData as { what: Searched; share: Share }
const race = new Judges([raceJudge])

async function begin(searched: Searched): Promise<Judges> {
  if ('race' in searched) {
    bootRace(searched.race)
    race.attach()
    return race
  }
  const [name, id] = searched.cell
  const [file] = loadScenarios([name])
  const [design] = await loadDesigns([id])
  if (file === undefined || design === undefined) throw new Error(`no ${name} on ${id}`)
  const cell = new Cell(file.scenario, design.design)
  cell.boot('lowered')
  return cell.judges
}

function run(judges: Judges, among: Share | undefined): number {
  const options = { bound: undefined, keepGoing: () => true }
  const { states, finished } = search(judges, { ...options, share: among })
  judges.detach()
  if (!finished) throw new Error('the table is too small')
  return states
}

// What V8 learns on something small serves the large search.
const small: Searched =
  'race' in what
    ? { race: { vcpus: 2, punches: 1, migrations: 1, rounds: 1 } }
    : { cell: ['punch/punch-vs-guest-fault', 'upm'] }
run(await begin(small), undefined)
const judges = await begin(what)
parentPort?.on('message', () => {
  parentPort?.postMessage(run(judges, share))
  parentPort?.close()
})
parentPort?.postMessage('ready')
