/**
 * Is a design what the kernel was before the patch, or does it have the patch already? Then it is
 * the patch taken back that shows what the patch does.
 */
import type { Change } from './changes.js'
import type { Calibrated, Check, Draft, Plan } from './plan.js'

/** The patch taken back: what it brings is what the design is, and what was before it is new. */
export function inverted({ scope, changes, checks }: Draft): Draft {
  const kinds = { changed: 'changed', new: 'removed', removed: 'new' } as const
  const functions = changes.functions.map((c): Change => {
    const lines = new Set<number>()
    return { ...c, kind: kinds[c.kind], before: c.after, after: c.before, lines }
  })
  const files = changes.files.map((f) => ({ ...f, before: f.after, after: f.before }))
  const turned = checks.map(
    (c): Check => ({ ...c, side: c.side === 'before' ? 'after' : 'before' }),
  )
  const around = changes.around.turned()
  return { scope, changes: { ...changes, functions, files, around }, checks: turned }
}

/** Calibration of both sides, by the function's name. */
export interface Sides {
  readonly before: ReadonlyMap<string, Calibrated>
  readonly after: ReadonlyMap<string, Calibrated>
}

/** Does every function whose version before the patch is another one agree after it? */
export function agreesAfter({ checks }: Draft, { before, after }: Sides): boolean {
  const other = checks.filter((c) => c.side === 'before' && typeof before.get(c.entry) === 'object')
  return other.length > 0 && other.every((c) => typeof after.get(c.entry) === 'string')
}

/**
 * Where the edit has no place in the model, and taking it back has: does the model have what the
 * patch brings? Something of it must be there to be taken away.
 */
export function hasEdits(forth: Plan, back: Plan): boolean {
  const stuck = forth.entries.filter((e) => e.kind === 'changed' && e.how === 'not translated')
  const taken = stuck.flatMap((e) => back.entries.filter((b) => b.name === e.name))
  return (
    stuck.length > 0 &&
    taken.every((b) => b.how === 'merged') &&
    taken.some((b) => (b.found ?? 0) > 0)
  )
}

/** How many of its functions a plan can judge. */
export function judgeable({ entries }: Plan): number {
  return entries.filter((e) => e.how !== 'not modelled' && e.how !== 'not translated').length
}
