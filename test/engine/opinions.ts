/**
 * The engine's self-test: one program, judged by everything that can run it. The opinions must be
 * the same: final states, findings, and which of them come first on some execution.
 */

import type { Listener } from '../../src/cell/execution.js'
import { Judges } from '../../src/cell/judges.js'
import { FinalStates } from '../../src/explore/listen/finals.js'
import { search } from '../../src/explore/prove/search.js'
import { exploreClasses } from '../../src/explore/stateless/dpor.js'
import type { Dependence } from '../../src/explore/stateless/independence.js'
import { undoMark } from '../../src/machine/arena.js'
import type { Mode } from '../../src/machine/machine.js'
import { SELF_TEST_JUDGES } from './judges.js'
import { everyInterleaving } from './naive.js'
import { bootSample, type Sample } from './programs.js'

export interface Opinion {
  readonly by: string
  readonly finals: ReadonlySet<string>
  /** By id: does it come first on some execution? */
  readonly findings: ReadonlyMap<string, boolean>
  readonly executions: number
}

type Judged = Pick<Opinion, 'findings' | 'executions'>

function ask(
  sample: Sample,
  mode: Mode,
  by: string,
  run: (judges: Judges, finals: Listener) => Judged | undefined,
): Opinion | undefined {
  const judges = new Judges(SELF_TEST_JUDGES)
  bootSample(sample, mode, () => judges.attach())
  const finals = new FinalStates({ root: undoMark() })
  const judged = run(judges, finals)
  judges.detach()
  return judged && { by, finals: finals.keys, ...judged }
}

export function stateful(sample: Sample): Opinion {
  return ask(sample, 'lowered', 'stateful', (judges, finals) => {
    const { witnesses, executions } = search(judges, {
      bound: undefined,
      keepGoing: () => true,
      listeners: [finals],
    })
    return { executions, findings: new Map([...witnesses].map(([id, w]) => [id, w.first])) }
  }) as Opinion
}

/** Undefined if it has more executions than `most`. */
export function stateless(
  sample: Sample,
  dependence: Dependence,
  most: number,
): Opinion | undefined {
  return ask(sample, 'direct', 'stateless', (judges, finals) => {
    const { findings, executions, unfinished } = exploreClasses(judges, {
      listeners: [finals],
      keepGoing: (n) => n < most,
      dependence,
    })
    if (unfinished !== undefined) return undefined
    return { executions, findings: new Map([...findings].map(([id, f]) => [id, f.first])) }
  })
}

/** Undefined if it has more steps than `most`. */
export function naive(sample: Sample, most: number): Opinion | undefined {
  return ask(sample, 'lowered', 'naive', (judges, finals) =>
    everyInterleaving(judges, finals, most),
  )
}

/** What two opinions differ in; undefined if they agree. */
export function disagreement(a: Opinion, b: Opinion): string | undefined {
  const text = (o: Opinion): string =>
    [...o.findings]
      .map(([id, f]) => `${id}${f ? '' : '+'}`)
      .sort()
      .join(' ')
  const missing = [...a.finals].filter((k) => !b.finals.has(k)).length
  const extra = [...b.finals].filter((k) => !a.finals.has(k)).length
  const parts: string[] = []
  if (text(a) !== text(b)) parts.push(`findings: ${text(a) || 'none'} / ${text(b) || 'none'}`)
  if (missing + extra > 0) parts.push(`final states: ${missing} only there, ${extra} only here`)
  return parts.length === 0 ? undefined : `${a.by} / ${b.by}: ${parts.join('; ')}`
}
