/**
 * A decision table as tests: one for each row, which says where the row comes from and of which
 * class it is. A row that the model cannot express is there too, skipped, with the reason, so that
 * the table is whole.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

/**
 * A: architecture, firmware or module, which no kernel can change. I: how Linux, KVM or a hypervisor
 * does it. D: deduced from rows that are known. ?: nobody has written it down, so it is a switch of
 * the model, and both answers are tried.
 */
export type Class = 'A' | 'I' | 'D' | '?'

export interface Row {
  readonly row: string
  readonly class: Class
  readonly source: string
  readonly holds: (() => void) | undefined
  /** Why no test can be made of it; undefined if there is one. */
  readonly notModelled: string | undefined
  /** Names of the switches that are tried both ways. */
  readonly switches: readonly string[]
}

export function row(name: string, cls: Class, source: string, holds: () => void): Row {
  return { row: name, class: cls, source, holds, notModelled: undefined, switches: [] }
}

export function notModelled(name: string, cls: Class, source: string, because: string): Row {
  return { row: name, class: cls, source, holds: undefined, notModelled: because, switches: [] }
}

/** A row of class ?, with the switch that decides it. */
export function open(name: string, switched: string, holds: () => void): Row {
  const source = 'not public'
  return { row: name, class: '?', source, holds, notModelled: undefined, switches: [switched] }
}

/** The rows as tests, each on a machine that has just booted. */
export function table(title: string, boot: () => void, rows: readonly Row[]): void {
  describe(title, () => {
    for (const r of rows) {
      const skip = r.notModelled === undefined ? false : `not modelled: ${r.notModelled}`
      test(`${r.row} (${r.class}, ${r.source})`, { skip }, () => {
        boot()
        r.holds!()
      })
    }
  })
}

/** Every switch of a host is tried by a row, and no row tries one that is not there. */
export function everySwitchIsTried(rows: readonly Row[], switches: object): void {
  test('every open row has its switch, and every switch its row', () => {
    const tried = new Set(rows.flatMap((r) => r.switches))
    assert.deepEqual([...tried].sort(), Object.keys(switches).sort())
    for (const r of rows) {
      if (r.class === '?' && r.holds !== undefined) assert.ok(r.switches.length > 0, r.row)
    }
  })
}
