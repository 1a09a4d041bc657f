/** Random small programs as one model, and what SPIN must say of each. */

import type { One } from '../../src/app/cross.js'
import { missingTool, modelRuntime, SPIN_LIMITS, Verifier } from '../../src/app/host/spin.js'
import { Judges } from '../../src/cell/judges.js'
import { FinalStates } from '../../src/explore/listen/finals.js'
import { search } from '../../src/explore/prove/search.js'
import { projectSources } from '../../src/lower/host.js'
import { undoMark } from '../../src/machine/arena.js'
import { type Model, modelOf, type Runtime } from '../../src/promela/model.js'
import { captureState, type InitialState } from '../../src/promela/tables.js'
import { SELF_TEST_JUDGES } from '../engine/judges.js'

/** Why tests that need SPIN are skipped; false if they are not. */
export function withoutSpin(): string | false {
  const missing = missingTool()
  return missing === undefined ? false : `${missing} is not installed`
}

/** A program, ready to be searched and exported. */
export interface Subject {
  readonly state: InitialState
  /** What the stateful search says of it. */
  readonly opinion: One
}

/** Boot a machine, note how it stands, and search from there. */
export function subjectOf(boot: (attach: () => void) => void): Subject {
  const judges = new Judges(SELF_TEST_JUDGES)
  boot(() => judges.attach())
  const state = captureState()
  const finals = new FinalStates({ root: undoMark() })
  const { states, finished, witnesses } = search(judges, {
    bound: undefined,
    keepGoing: () => true,
    listeners: [finals],
  })
  judges.detach()
  const findings = new Set([...witnesses].map(([id, w]) => (w.first ? id : `${id}+`)))
  return { state, opinion: { states, finished, findings, finals: finals.keys } }
}

const JUDGES = { file: 'test/engine/judges.ts', name: 'SELF_TEST_JUDGES', list: SELF_TEST_JUDGES }

const sources = projectSources([
  JUDGES.file,
  'test/engine/repertoire.ts',
  'test/promela/arithmetic.ts',
  'test/promela/refused.ts',
  'bench/race.ts',
])

export function modelOfAll(subjects: readonly Subject[], runtime: Runtime = modelRuntime()): Model {
  return modelOf({
    name: 'programs',
    title: 'random programs',
    sources,
    runtime,
    judges: JUDGES,
    ways: 5,
    states: subjects.map((s) => s.state),
  })
}

const LIMITS = { ...SPIN_LIMITS, depth: 10_000, words: 512 }

/** Make a verifier, use it, leave nothing behind. */
export function withVerifier<T>(model: Model, use: (verifier: Verifier) => T): T {
  const verifier = new Verifier('programs', model, LIMITS)
  try {
    return use(verifier)
  } finally {
    verifier.close()
  }
}
