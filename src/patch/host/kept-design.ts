/** The design that a patch makes, kept in a file of the user's: its findings then have tokens. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { resolveDesign, tokenHash } from '../../app/host/designs.js'
import { builtInScenarios } from '../../app/host/scenarios.js'
import type { LoadedDesign } from '../../app/results.js'
import { encodeToken } from '../../app/token.js'
import type { Patch } from '../mail/patch.js'
import type { Scope } from '../model/scope.js'
import { designId, designText, type Piece } from '../translate/module.js'
import type { CellVerdict, Finding } from '../verdicts.js'

/** The design in a file of the user's, for `check -d` and `replay --design`. */
export async function keep(
  folder: string | undefined,
  pieces: readonly Piece[],
  scope: Scope,
  [patch]: readonly Patch[],
): Promise<{ path: string; design: LoadedDesign } | undefined> {
  if (folder === undefined) return undefined
  const { SEES_THE_BUILD } = await import('../../lower/project.js')
  const subject = patch?.subject ?? ''
  const id = designId(subject)
  const path = join(folder, `${id}.ts`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(path, SEES_THE_BUILD + designText(pieces, scope, { id, summary: subject }))
  return { path, design: await resolveDesign(path) }
}

/** The findings with tokens of the design that has been kept; without one there are none. */
export function bound(
  cells: readonly CellVerdict[],
  ref: LoadedDesign | undefined,
): readonly CellVerdict[] {
  if (ref === undefined) return cells
  const texts = new Map(builtInScenarios().map((s) => [s.scenario.name, s.text]))
  return cells.map((cell) => {
    const { scenario } = cell
    const text = texts.get(scenario)
    const found = cell.found.map((f): Finding => {
      const { schedule } = f
      if (schedule === undefined || text === undefined) return f
      const hash = tokenHash(text, ref)
      return { ...f, token: encodeToken({ scenario, design: ref.id, hash, schedule }) }
    })
    return { ...cell, found }
  })
}
