/** `restrictedmem review MAIL --linux TREE`: what a patch as it came from the list does, told. */
import { basename } from 'node:path'
import { replacementsOf } from '../designs/design.js'
import { type ReviewAsked, type Reviewed, reviewMail } from '../patch/host/review.js'
import type { Calibrated, Entry } from '../patch/plan.js'
import { tell } from '../patch/tell.js'
import type { Review } from '../patch/verdicts.js'
import { EXIT } from './exit.js'

export interface ReviewFlags extends ReviewAsked {
  readonly format: 'text' | 'mail' | 'json'
}

export async function review(mail: string, flags: ReviewFlags): Promise<number> {
  const reviewed = await reviewMail(mail, flags)
  process.stdout.write(`${textOf(reviewed, flags.format)}\n`)
  return codeOf(reviewed.review)
}

function textOf(reviewed: Reviewed, format: ReviewFlags['format']): string {
  const { patches, design, basis, review, notes, path, columns } = reviewed
  const subject = patches.map((p) => p.subject).join('; ')
  if (format === 'json') {
    const entries = reviewed.entries.map((e) => ({
      ...{ name: e.name, file: e.file, kind: e.kind, how: e.how, holes: e.holes },
      targets: e.targets.map((t) => t.ts),
    }))
    const { cells, partly } = review
    const mails = columns.map((c) => c.cells.map(({ scenario, word }) => ({ scenario, word })))
    const about = { schema: 1, subject, base: design.id, design: path, notes, entries }
    return JSON.stringify({ ...about, cells, partly, mails }, undefined, 1)
  }
  const { entries } = reviewed
  const checkOf = (name: string): string => checkText(basis.get(name), entries, name)
  const base = `${design.id}, Linux ${design.profile}, ${replacementsOf(design).length} replaced functions`
  const file = path === undefined || format === 'text' ? path : basename(path)
  const replay = file === undefined ? undefined : `restrictedmem replay --design ${file} TOKEN`
  const told = { subject, base, notes, entries, checkOf, review, replay, columns }
  return tell(told, format === 'mail' ? 72 : 96)
}

/** What is said of a whole translation besides: what it rests on. */
export function checkText(c: Calibrated, entries: readonly Entry[], name: string): string {
  const how = entries.find((e) => e.name === name)?.how
  if (how !== 'translated' || c === undefined || typeof c === 'object') return ''
  if (c === 'not reached') {
    return 'its translation from before the patch was not compared: no scenario reaches it'
  }
  const before = 'before the patch its translation and the model agree in every final state'
  return c === 'alone' ? before : `${before}, with what it calls`
}

/** What a review ends with. */
export function codeOf({ cells, partly }: Review): number {
  if (partly) return EXIT.PARTLY
  return cells.some((c) => c.word === 'finds') ? EXIT.FINDING : EXIT.OK
}
