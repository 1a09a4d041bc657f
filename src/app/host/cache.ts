/**
 * Verdicts of finished cells, and what else takes long to find, kept between runs. It is used again
 * only if everything that it depends on is the same; what is printed says so.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { unpackSchedule } from '../token.js'
import type { Verdict } from '../verdict.js'
import { type Job, jobHash } from './job.js'
import { CODE } from './package.js'
import { packed } from './stored.js'
import { writeWhole } from './whole-file.js'

/** Verdicts of code that nobody has run for so long are deleted, in milliseconds. */
const KEPT = 30 * 24 * 3600 * 1000

function root(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env
  return join(XDG_CACHE_HOME || LOCALAPPDATA || join(homedir(), '.cache'), 'restrictedmem')
}

type Replacer = (name: string, value: unknown) => unknown

/** What this code has kept under a name, if it has. */
export function recallData(name: string, revive?: Replacer): unknown {
  try {
    return JSON.parse(readFileSync(join(root(), CODE.code, `${name}.json`), 'utf8'), revive)
  } catch {
    return undefined
  }
}

/** Keep data under a name that says all it depends on. Without a place to write, nothing is kept. */
export function keepData(name: string, data: unknown, replace?: Replacer): void {
  const folder = join(root(), CODE.code)
  const text = JSON.stringify(data, replace)
  try {
    if (mkdirSync(folder, { recursive: true }) !== undefined) forgetOldCode()
    writeWhole(join(folder, `${name}.json`), (file) => writeFileSync(file, text))
  } catch {
    // A cache that can't be written is no cache; what was found is the same.
  }
}

/** The verdict on a job from an earlier run, if there is one. */
export function recall(job: Job): Verdict | undefined {
  const verdict = recallData(jobHash(job), (name, value) =>
    name === 'schedule' ? unpackSchedule(value as string) : value,
  ) as Verdict | undefined
  return verdict && { ...verdict, reused: true }
}

/** Is this what the same question gets for an answer every time, whatever the limits were? */
export function isWhole({ stopped, fewest, asMet, cross, findings, proof }: WholeFacts): boolean {
  if (stopped || (cross !== undefined && cross.outcome !== 'agrees')) return false
  return proof !== 'exhaustive' || asMet || findings.length === 0 || fewest === true
}

type WholeFacts = Verdict & { readonly asMet: boolean }

/** Keep a verdict. */
export function remember(job: Job, verdict: Verdict): void {
  const asMet = job.question.asMet === true
  if (verdict.reused === true || !isWhole({ ...verdict, asMet })) return
  keepData(jobHash(job), verdict, packed)
}

function forgetOldCode(): void {
  for (const name of readdirSync(root())) {
    const path = join(root(), name)
    if (Date.now() - statSync(path).mtimeMs > KEPT) rmSync(path, { recursive: true, force: true })
  }
}
