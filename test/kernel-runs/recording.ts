/** The recorded run of the real 6.2.1 kernel: rows of calls, and what the console printed. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A callback: what, of which notifier, the range as it was handed over, and in what context. */
export type LogEntry = readonly [
  what: 'start' | 'end' | 'error',
  id: number,
  first: number,
  end: number,
  context?: Context,
]

/** In what context a callback ran, and how the watched frame was at that moment. */
export interface Context {
  readonly atomic: number
  readonly watch_locked: number
  readonly watch_in_cache: number
  readonly watch_ref: number
}

export interface CallRow {
  readonly n: number
  /** Flavour of the kernel, and the boot that the row belongs to. */
  readonly k: string
  readonly g: string
  /** Experiment and call, in words. */
  readonly x: string
  readonly call: string
  /** A number, or the name of an errno. */
  readonly ret: number | string
  readonly obs: Readonly<Record<string, unknown>>
  readonly log?: readonly LogEntry[]
}

/** Console output; it comes some time after what caused it. */
export interface EventRow {
  readonly n: number
  readonly k: string
  readonly g: string
  readonly event: 'console' | 'trace'
  readonly text?: string
  readonly frames?: readonly string[]
  /** How often; 1 if absent. */
  readonly count?: number
}

export type Row = CallRow | EventRow

/** This file is built to `dist/test/kernel-runs/`. */
const file = join(
  fileURLToPath(new URL('../../..', import.meta.url)),
  'transcripts/kernel-runs/linux-6.2.1-restrictedmem.jsonl',
)

/** Integers beyond 2^53 become strings, so that no digit is lost. */
function parse(line: string): Row {
  const quoted = line.replace(/:(\d{16,})(?=[,}])/g, (text, digits: string) =>
    Number.isSafeInteger(Number(digits)) ? text : `:"${digits}"`,
  )
  return JSON.parse(quoted) as Row
}

/** All rows, as recorded. */
export const recording: readonly Row[] = readFileSync(file, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map(parse)

/** One boot of one flavour of the kernel. */
export interface Boot {
  readonly k: string
  readonly g: string
  readonly rows: readonly Row[]
}

function groups(): Boot[] {
  const found = new Map<string, { k: string; g: string; rows: Row[] }>()
  for (const row of recording) {
    const key = `${row.k}\n${row.g}`
    const boot = found.get(key) ?? { k: row.k, g: row.g, rows: [] }
    found.set(key, boot)
    boot.rows.push(row)
  }
  return [...found.values()]
}

/** The boots of the recording, in order. */
export const boots: readonly Boot[] = groups()
