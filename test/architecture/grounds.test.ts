/** What a report cites can be looked up: in the kernel's source, or in this repository. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import type { Release } from '../../src/sanitizers/ground.js'
import { FINDING_KINDS } from '../../src/sanitizers/index.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const RECORDINGS: Readonly<Record<Release, string>> = {
  '6.2.1': 'linux-6.2.1-restrictedmem.jsonl',
  '6.18.2': 'linux-6.18.2-guest_memfd.jsonl',
}

interface Row {
  readonly x?: string
  readonly g?: string
  readonly step?: string
}

function rowsOf(release: Release): ReadonlySet<string | undefined> {
  const path = join(ROOT, 'transcripts/kernel-runs', RECORDINGS[release])
  const rows = readFileSync(path, 'utf8').trimEnd().split('\n')
  return new Set(rows.map((r) => JSON.parse(r) as Row).flatMap(({ x, g, step }) => [x, g, step]))
}

const grounds = FINDING_KINDS.flatMap((k) => k.why)

test('every finding says why it is one', () => {
  assert.deepEqual(
    FINDING_KINDS.filter((k) => k.why.length === 0).map((k) => k.id),
    [],
  )
})

test('a row of a recording that is cited is there', () => {
  const rows = { '6.2.1': rowsOf('6.2.1'), '6.18.2': rowsOf('6.18.2') }
  const cited = grounds.filter((g) => g.kind === 'recorded')
  assert.ok(cited.length > 0)
  assert.deepEqual(
    cited.filter((g) => !rows[g.release].has(g.row)),
    [],
  )
})

test('a source is cited by version, file and function, a commit by twelve digits', () => {
  for (const g of grounds) {
    if (g.kind === 'source')
      assert.match(`${g.version} ${g.at}`, /^[67]\.\d+ [\w/-]+\.[ch] [\w ]+$/)
    if (g.kind === 'commit') assert.match(g.id, /^[0-9a-f]{12}$/)
  }
})

function texts(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((e) => {
    const path = `${folder}/${e.name}`
    if (e.isDirectory()) return texts(path)
    return /\.(ts|mjs|md|c|litmus)$/.test(e.name) ? [path] : []
  })
}

/** A file; of a test without its strings, since recordings have names for their steps. */
function unquoted(path: string): string {
  const text = readFileSync(join(ROOT, path), 'utf8')
  return path.startsWith('test/') ? text.replace(/'[^'\n]*'/g, "''") : text
}

test('nothing refers to notes that the repository does not have', () => {
  const code = /\b(?:D\d{2}|museum|kernel-runs \d|[SIRPZLF]\d, [SIRPZLF]\d|open question \d)\b/
  const found = ['src', 'docs', 'litmus', 'mutants', 'examples', 'tools', 'test']
    .flatMap(texts)
    .filter((path) => !path.endsWith('/grounds.test.ts') && code.test(unquoted(path)))
  assert.deepEqual(found, [])
})
