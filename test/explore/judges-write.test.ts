/**
 * A judge of states that wrote would be left out where it has nothing to say, and its notes with
 * it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bootRace, raceJudge } from '../../bench/race.js'
import { Judges } from '../../src/cell/judges.js'
import { search } from '../../src/explore/prove/search.js'
import { constructAt, num, type Obj, type Struct, struct } from '../../src/machine/struct.js'
import type { Sanitizer } from '../../src/sanitizers/sanitizer.js'

interface Notes extends Obj {
  states: number
}

const Notes: Struct<Notes> = struct<Notes>(
  'Notes',
  { states: num() },
  { capacity: 1, role: 'judge' },
)

function countStates(): void {
  const notes = Notes.at(Notes.base) as Notes
  notes.states++
}

const counting: Omit<Sanitizer, 'state' | 'atEnd'> = {
  name: 'counting',
  invariant: 'None: it counts.',
  kinds: [],
  watches: raceJudge.watches ?? [],
  booted: () => constructAt(Notes as unknown as Struct<Obj>, Notes.base, 0),
}

for (const check of ['state', 'atEnd'] as const) {
  test(`a judge may not write in "${check}"`, () => {
    bootRace({ vcpus: 1, punches: 1, migrations: 1, rounds: 1 })
    const judges = new Judges([{ ...counting, [check]: countStates }])
    judges.attach()
    const options = { bound: undefined, keepGoing: () => true }
    assert.throws(() => search(judges, options), {
      message: `counting writes where it judges a state (${check}): only events may`,
    })
    judges.detach()
  })
}
