/** The recorded run of the real 6.18.2 kernel: what was done, in words, and what was seen. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface GmemRow {
  /** Experiment: 0 marks the beginning and the end of a boot. */
  readonly exp: string
  readonly step: string
  readonly [field: string]: unknown
}

/** This file is built to `dist/test/kernel-runs/`. */
const file = join(
  fileURLToPath(new URL('../../..', import.meta.url)),
  'transcripts/kernel-runs/linux-6.18.2-guest_memfd.jsonl',
)

const rows = readFileSync(file, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as GmemRow)

/** The rows of a boot, in order; each must be asked for by name. */
export class Rows {
  readonly #rows: readonly GmemRow[]
  #at = 0
  /** Rows that no test can say anything about, with the reason. */
  readonly listed: string[] = []

  constructor(boot: string) {
    const first = rows.findIndex(({ step, run }) => step === 'boot' && run === boot)
    const length = rows.slice(first + 1).findIndex(({ step }) => step === 'boot')
    const own = rows.slice(first + 1, length < 0 ? undefined : first + 1 + length)
    this.#rows = own.filter(({ exp }) => exp !== '0')
  }

  /** The next row, which must be this step. */
  next(step: string): GmemRow {
    const row = this.#rows[this.#at]
    assert.equal(row?.step, step)
    this.#at += 1
    return row as GmemRow
  }

  /** The step that comes next; undefined behind the last. */
  get step(): string | undefined {
    return this.#rows[this.#at]?.step
  }

  /** The next row is about something that the model does not have. */
  list(step: string, why: string): void {
    this.next(step)
    this.listed.push(`${step}: ${why}`)
  }

  end(): void {
    assert.equal(this.step, undefined, 'rows are left')
  }
}

/** The boots of the recording by name, in order. */
export const gmemBoots: readonly string[] = rows
  .filter(({ step }) => step === 'boot')
  .map(({ run }) => String(run))
