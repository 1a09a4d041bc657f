/**
 * Verdicts of finished cells, kept between runs. A verdict is used again only if everything that it
 * depends on is the same; what is printed says so.
 */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { unpackSchedule } from '../token.js'
import type { Verdict } from '../verdict.js'
import { type Job, jobHash } from './job.js'
import { CODE } from './package.js'
import { packed } from './stored.js'

/** Verdicts of code that nobody has run for so long are deleted, in milliseconds. */
const KEPT = 30 * 24 * 3600 * 1000

function root(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env
  return join(XDG_CACHE_HOME || LOCALAPPDATA || join(homedir(), '.cache'), 'restrictedmem')
}

function fileOf(job: Job): string {
  return join(root(), CODE.code, `${jobHash(job)}.json`)
}

/** The verdict on a job from an earlier run, if there is one. */
export function recall(job: Job): Verdict | undefined {
  try {
    const verdict = JSON.parse(readFileSync(fileOf(job), 'utf8'), (name, value) =>
      name === 'schedule' ? unpackSchedule(value as string) : value,
    ) as Verdict
    return { ...verdict, reused: true }
  } catch {
    return undefined
  }
}

/** Is this what the same question gets for an answer every time, whatever the limits were? */
export function isWhole({ stopped, fewest, asMet, cross, findings, proof }: WholeFacts): boolean {
  if (stopped || (cross !== undefined && cross.outcome !== 'agrees')) return false
  return proof !== 'exhaustive' || asMet || findings.length === 0 || fewest === true
}

type WholeFacts = Verdict & { readonly asMet: boolean }

/** Keep a verdict. Without a place to write, nothing is kept. */
export function remember(job: Job, verdict: Verdict): void {
  const asMet = job.question.asMet === true
  if (verdict.reused === true || !isWhole({ ...verdict, asMet })) return
  const file = fileOf(job)
  const folder = join(root(), CODE.code)
  try {
    if (mkdirSync(folder, { recursive: true }) !== undefined) forgetOldCode()
    const own = `${file}.${process.pid}`
    writeFileSync(own, JSON.stringify(verdict, packed))
    renameSync(own, file)
  } catch {
    // A cache that can't be written is no cache; the verdict is the same.
  }
}

function forgetOldCode(): void {
  for (const name of readdirSync(root())) {
    const path = join(root(), name)
    if (Date.now() - statSync(path).mtimeMs > KEPT) rmSync(path, { recursive: true, force: true })
  }
}
