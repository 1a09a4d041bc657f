/**
 * One cell, judged in every way there is. Each gives an answer in the same words, and what two
 * answers both say must be the same.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CellSnapshot } from '../../src/app/check.js'
import { readCheckpoint, saveCheckpoint } from '../../src/app/host/checkpoint.js'
import { Cell } from '../../src/cell/cell.js'
import type { Listener } from '../../src/cell/execution.js'
import type { Judges } from '../../src/cell/judges.js'
import type { Design } from '../../src/designs/design.js'
import { FinalStates } from '../../src/explore/listen/finals.js'
import type { Witness } from '../../src/explore/listen/witnesses.js'
import { type SearchOptions, type SearchResult, search } from '../../src/explore/prove/search.js'
import { sample } from '../../src/explore/sample/sample.js'
import { PartialOrder, Pct, RandomWalk } from '../../src/explore/sample/samplers.js'
import { exploreClasses } from '../../src/explore/stateless/dpor.js'
import { replayScenario } from '../../src/explore/tell/replay.js'
import type { Scenario } from '../../src/litmus/scenario.js'
import { undoMark } from '../../src/machine/arena.js'
import { announceAll } from '../../src/machine/frames.js'
import type { Mode } from '../../src/machine/machine.js'
import { drawFrom } from '../engine/programs.js'

/** A scenario on a design. */
export interface Pair {
  readonly scenario: Scenario
  readonly design: Design
}

/** What one way says. What it can't know is left out. */
export interface Answer {
  readonly by: string
  readonly states?: number
  readonly executions?: number
  /** By id: does it come first on some execution? */
  readonly findings: ReadonlyMap<string, boolean>
  readonly outcomes?: ReadonlySet<string>
  readonly finals?: ReadonlySet<string>
  /** Not everything was seen: what there is must be among what the others say. */
  readonly part?: boolean
  /** Loops are not judged. */
  readonly loopless?: boolean
}

/** The search that the others are compared with; undefined if it has more states than `most`. */
export interface Plain extends Answer {
  readonly steps: number
  readonly witnesses: ReadonlyMap<string, Witness>
}

function firsts(witnesses: ReadonlyMap<string, { readonly first: boolean }>): Map<string, boolean> {
  return new Map([...witnesses].map(([id, w]) => [id, w.first]))
}

function on<R>(
  { scenario, design }: Pair,
  mode: Mode,
  run: (judges: Judges, listeners: readonly Listener[], cell: Cell) => R,
): { said: R; outcomes: ReadonlySet<string>; finals: ReadonlySet<string> } {
  const cell = new Cell(scenario, design)
  cell.boot(mode)
  const finals = new FinalStates({ root: undoMark() })
  const said = run(cell.judges, [cell.outcomes, finals], cell)
  cell.judges.detach()
  return { said, outcomes: new Set(cell.outcomes.all.keys()), finals: finals.keys }
}

function searched(pair: Pair, options: Partial<SearchOptions>) {
  return on(pair, 'lowered', (judges, listeners) =>
    search(judges, { bound: undefined, keepGoing: () => true, listeners, ...options }),
  )
}

function answerOf(by: string, of: ReturnType<typeof searched>): Answer {
  const { said, outcomes, finals } = of
  const { states, executions, witnesses } = said
  return { by, states, executions, findings: firsts(witnesses), outcomes, finals }
}

export function plain(pair: Pair, most: number): Plain | undefined {
  const of = searched(pair, { askEvery: most, keepGoing: (states) => states < most })
  const { finished, steps, witnesses } = of.said
  return finished ? { ...answerOf('plain', of), steps, witnesses } : undefined
}

/** Without memory of steps, and by whole states. */
export function otherwise(pair: Pair): Answer[] {
  return [
    answerOf('without memo', searched(pair, { afresh: true })),
    answerOf('exact', searched(pair, { exact: true })),
  ]
}

/** Bounded so widely that nothing is cut off, and narrowly. */
export function bounded(pair: Pair): Answer[] {
  const wide = searched(pair, { bound: 1000 })
  const narrow = searched(pair, { bound: 1 })
  const { executions: _, states: __, ...rest } = answerOf('bounded', wide)
  const { executions: ___, states: ____, ...less } = answerOf('bounded to 1', narrow)
  return [
    { ...rest, loopless: true, part: wide.said.cut },
    { ...less, loopless: true, part: true },
  ]
}

/** Stopped again and again, each time saved to a file, and gone on with from it. */
export function resumed(pair: Pair, { steps }: Plain, stops: number): Answer {
  const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-fuzz-'))
  const path = join(folder, 'checkpoint')
  const finals = new Set<string>()
  const askEvery = Math.max(1, Math.floor(steps / (stops + 1)))
  try {
    for (;;) {
      const resume = readCheckpoint(path, 'fuzz')
      const once = on(pair, 'lowered', (judges, listeners, cell) =>
        part(judges, listeners, cell, askEvery, resume, (s) => saveCheckpoint(path, 'fuzz', s)),
      )
      for (const f of once.finals) finals.add(f)
      if (once.said.finished) return { ...answerOf('resumed', once), finals }
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Go on from a snapshot until the search asks for the first time. */
function part(
  judges: Judges,
  listeners: readonly Listener[],
  cell: Cell,
  askEvery: number,
  resume: CellSnapshot | undefined,
  save: (snapshot: CellSnapshot) => void,
): SearchResult {
  if (resume !== undefined) cell.restore(resume)
  return search(judges, {
    bound: undefined,
    askEvery,
    listeners,
    resume: resume?.search,
    keepGoing: (_states, _depth, { snapshot }) => {
      if (snapshot === undefined) throw new Error('a plain search has no snapshot')
      save({ search: snapshot(), ...cell.save() })
      return false
    },
  })
}

/** The stateless search over generators, for so many executions. */
export function stateless(pair: Pair, most: number): Answer {
  const { said, outcomes, finals } = on(pair, 'direct', (judges, listeners) =>
    exploreClasses(judges, { listeners, keepGoing: (n) => n < most }),
  )
  const part = said.unfinished !== undefined
  // Beyond a search that stores no states: loops.
  return {
    by: 'stateless',
    findings: firsts(said.findings),
    outcomes,
    finals,
    part,
    loopless: true,
  }
}

/** Random executions: they show nothing that the others do not know. */
export function sampled(pair: Pair, runs: number, seed: number): Answer {
  announceAll(true)
  try {
    const { said, outcomes, finals } = on(pair, 'lowered', (judges, listeners) =>
      sample(judges, {
        samplers: [new RandomWalk(), new Pct(2), new PartialOrder()],
        runs,
        draw: drawFrom(seed),
        listeners,
        keepGoing: () => true,
      }),
    )
    const findings = firsts(said.witnesses)
    return { by: 'sampled', findings, outcomes, finals, part: true, loopless: true }
  } finally {
    announceAll(false)
  }
}

/** Every finding once more, from its schedule, as lowered code and as generators. */
export function replayed({ scenario, design }: Pair, { witnesses }: Plain): string[] {
  const wrong: string[] = []
  for (const [id, w] of witnesses) {
    if (w.schedule.length === 0) continue
    for (const mode of ['lowered', 'direct'] as const) {
      const { trace, divergence } = replayScenario(scenario, design, w.schedule, mode)
      const last = trace.steps.at(-1)?.findings.map((f) => f.id) ?? []
      const shown = trace.stuck.length > 0 ? [...last, 'deadlock'] : last
      if (trace.repeats > 0 || mode === 'direct') shown.push('livelock')
      if (divergence === undefined && shown.includes(id)) continue
      wrong.push(`the execution of ${id}, ${mode}, shows ${shown.join(', ') || 'nothing'}`)
    }
  }
  return wrong
}

const LOOPS = 'livelock'

/** In what an answer differs from the plain one, a line each. */
export function differences(one: Plain, other: Answer): string[] {
  const wrong: string[] = []
  const say = (what: string): void => {
    wrong.push(`${other.by}: ${what}`)
  }
  const words = ({ findings }: Answer): Set<string> =>
    new Set(
      [...findings]
        .filter(([id]) => !other.loopless || id !== LOOPS)
        .map(([id, first]) => (first || other.part ? id : `${id}+`)),
    )
  for (const count of ['states', 'executions'] as const) {
    if (other[count] !== undefined && other[count] !== one[count]) {
      say(`${other[count]} ${count} instead of ${one[count]}`)
    }
  }
  const compare = (what: string, here: ReadonlySet<string>, there?: ReadonlySet<string>): void => {
    if (there === undefined) return
    const missing = other.part ? [] : [...here].filter((x) => !there.has(x))
    const extra = [...there].filter((x) => !here.has(x))
    if (missing.length > 0) say(`${missing.length} ${what} are missing: ${missing[0]}`)
    if (extra.length > 0) say(`${extra.length} ${what} are new: ${extra[0]}`)
  }
  const all = one.findings
  const known = other.part ? new Set(all.keys()) : words(one)
  compare('findings', known, words(other))
  compare('outcomes', one.outcomes as ReadonlySet<string>, other.outcomes)
  compare('final states', one.finals as ReadonlySet<string>, other.finals)
  return wrong
}
