/**
 * Verdicts of finished cells, kept between runs. A verdict is used again only if the code, the
 * scenario's text, the design and what was asked are all the same; what is printed says so.
 */
import { createHash } from 'node:crypto'
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
import type { Verdict } from '../explore/verdict.js'
import { codeVersion } from './inputs.js'
import type { Job } from './worker.js'

/** Verdicts of code that nobody has run for so long are deleted, in milliseconds. */
const KEPT = 30 * 24 * 3600 * 1000

function root(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env
  return join(XDG_CACHE_HOME || LOCALAPPDATA || join(homedir(), '.cache'), 'restrictedmem')
}

function fileOf(job: Job): string {
  const { text, design, effort } = job
  const { bound, find, exact } = effort
  const asked = JSON.stringify([text, design.module ?? design.id, bound ?? null, find, exact])
  const key = createHash('sha256').update(asked).digest('hex').slice(0, 32)
  return join(root(), codeVersion().code, `${key}.json`)
}

/** The verdict on a job from an earlier run, if there is one. */
export function recall(job: Job): Verdict | undefined {
  try {
    const verdict = JSON.parse(readFileSync(fileOf(job), 'utf8')) as Verdict
    return { ...verdict, reused: true }
  } catch {
    return undefined
  }
}

/** Keep a verdict. Without a place to write, nothing is kept. */
export function remember(job: Job, verdict: Verdict): void {
  if (verdict.stopped || verdict.reused === true) return
  const file = fileOf(job)
  const folder = join(root(), codeVersion().code)
  try {
    if (mkdirSync(folder, { recursive: true }) !== undefined) forgetOldCode()
    const own = `${file}.${process.pid}`
    writeFileSync(own, JSON.stringify(verdict))
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
