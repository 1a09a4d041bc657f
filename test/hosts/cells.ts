/**
 * What the rows of tables of scenarios and bugs are made of: cells of the golden files, mutants, and
 * tests.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { MUTANTS } from '../../mutants/index.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const cells = ['test/hosts/matrix.golden.txt', 'test/explore/matrix.golden.txt'].flatMap((golden) =>
  readFileSync(join(ROOT, golden), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' ')),
)

export type Cell = readonly [scenario: string, design: string]

/**
 * `shows` is a cell with a finding, `mended` one where the same scenario is clean, `without` one
 * where it has others, but not that one; `lacks` is such a cell alone. `clean` are cells that have
 * none. `mutant` is a version that nobody has published, or that no design is: a seeded bug. `tried`
 * is a test, by the words of its name. `because` says why there is no cell.
 */
export type Row =
  | {
      readonly row: string
      readonly shows: readonly [...Cell, finding: string]
      readonly mended?: Cell
      readonly without?: Cell
    }
  | { readonly row: string; readonly lacks: readonly [...Cell, finding: string] }
  | { readonly row: string; readonly clean: readonly Cell[] }
  | { readonly row: string; readonly mutant: string; readonly finding: string }
  | { readonly row: string; readonly tried: string; readonly as: string }
  | { readonly row: string; readonly because: string }

/** What a cell finds. */
function found([scenario, design]: Cell): string[] {
  const cell = cells.find((c) => c[0] === scenario && c[1] === design)
  assert.ok(cell !== undefined, `${scenario} on ${design} is no cell`)
  assert.notEqual(cell[2], 'skipped', `${scenario} on ${design} is skipped`)
  return cell.slice(4).map((f) => f.replace(/^\+|@.*$/g, ''))
}

/** The rows of a table as tests. A row without a cell is skipped, with its reason. */
export function rowsAsTests(name: string, rows: readonly Row[]): void {
  describe(name, () => {
    for (const r of rows) {
      test(r.row, { skip: 'because' in r && r.because }, () => {
        if ('shows' in r) {
          const [scenario, design, finding] = r.shows
          assert.ok(found([scenario, design]).includes(finding), `${scenario} on ${design}`)
          if (r.mended !== undefined) assert.deepEqual(found(r.mended), [])
          if (r.without !== undefined) assert.ok(!found(r.without).includes(finding))
        } else if ('lacks' in r) {
          const [scenario, design, finding] = r.lacks
          assert.ok(!found([scenario, design]).includes(finding))
        } else if ('clean' in r) {
          for (const cell of r.clean) assert.deepEqual(found(cell), [])
        } else if ('mutant' in r) {
          assert.equal(MUTANTS.find((m) => m.name === r.mutant)?.finding, r.finding)
        } else if ('tried' in r) {
          assert.ok(readFileSync(join(ROOT, r.tried), 'utf8').includes(r.as), r.as)
        }
      })
    }
  })
}
