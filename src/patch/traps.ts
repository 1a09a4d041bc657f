/** Functions of the model that nobody may run: what they rest on cannot be judged. */
import type { ModelFunction } from './model/dictionary.js'
import type { Scope } from './model/scope.js'
import type { Entry } from './plan.js'
import type { Piece } from './translate/module.js'
import type { Ripple } from './users.js'

/** A function of the model that nobody may run: its cells are not judged. */
export function trapPiece(target: ModelFunction, why: string, scope: Scope): Piece {
  const params = target.params.map(
    (p) => `${p.name.startsWith('_') ? '' : '_'}${p.name}: ${p.type}`,
  )
  const generator = target.kind === 'generator'
  const returns = generator ? `Kernel<${target.returns}>` : target.returns
  const text = `function${generator ? '*' : ''} ${target.c}(${params.join(', ')}): ${returns} {\n  hole(${JSON.stringify(`${target.c}: ${why}`)})\n}`
  return {
    name: `${target.ts}$`,
    text: `fn(${text})`,
    replaces: (scope.slotOf(target) ?? target).ts,
    comment: `${target.c}: a trap.`,
    why,
  }
}

/** A function that rests on something else which cannot be judged is not judged. */
export function trapped(entry: Entry, traps: ReadonlyMap<string, Piece>): Entry {
  const lost = entry.targets.flatMap((t) => traps.get(`${t.ts}$`) ?? [])
  const isJudged = entry.how === 'translated' || entry.how === 'merged' || entry.how === 'no effect'
  if (!isJudged || lost.length === 0) return entry
  const reason = lost[0]?.why ?? ''
  return { ...entry, how: 'not translated', holes: [{ reason, line: 0, c: '' }, ...entry.holes] }
}

export function usersText({ users, inModel, everything }: Ripple): string {
  if (everything !== undefined) return everything
  const names = [...new Set([...users.map((u) => u.name), ...inModel.map((f) => f.c)])]
  const shown = names.slice(0, 4).map((n) => `${n}()`)
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : ''
  return names.length === 0 ? 'nothing that the model has uses it' : `${shown.join(', ')}${more}`
}
