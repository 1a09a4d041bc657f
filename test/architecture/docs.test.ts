/** What a page says is so: links, paths, the samples of the README. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { shortFinding } from '../../src/report/words.js'
import { GENERATED, pages } from './pages.js'

const ROOT = resolve(import.meta.dirname, '../../..')

/** Where a page may begin to count from. */
const BEGINNINGS = ['', 'src', 'docs', 'test']

/** The generated pages name files of Linux. */
const OF_LINUX = /^docs\/(fidelity|invariants|errno|lock-order)\.md$/

test('every link of a page leads to a file', () => {
  for (const page of pages()) {
    const text = readFileSync(join(ROOT, page), 'utf8')
    for (const [, to = ''] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (to.includes(':')) continue
      assert.ok(existsSync(join(ROOT, dirname(page), to)), `${page}: ${to}`)
    }
  }
})

test('every path that a page names is there', () => {
  const pathLike = /`([\w@.-]+(?:\/[\w@.-]+)+\/?)`/g
  for (const page of pages().filter((p) => !OF_LINUX.test(p))) {
    for (const [, path = ''] of readFileSync(join(ROOT, page), 'utf8').matchAll(pathLike)) {
      if (!/\.(ts|mjs|md|json|litmus|jsonl)$|\/$/.test(path)) continue
      const there = BEGINNINGS.some((folder) => existsSync(join(ROOT, folder, path)))
      assert.ok(there, `${page}: ${path}`)
    }
  }
})

/** Rows of tables can't be broken; the changelog is of many hands. */
test('no line of a page is longer than 100 characters', () => {
  const long: string[] = []
  for (const page of pages().filter((p) => !GENERATED.test(p) && p !== 'CHANGELOG.md')) {
    for (const [i, line] of readFileSync(join(ROOT, page), 'utf8').split('\n').entries()) {
      if ([...line].length > 100 && !line.startsWith('|')) long.push(`${page}:${i + 1}`)
    }
  }
  assert.deepEqual(long, [])
})

/** The blocks of code of the README. */
function blocks(): string[] {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  return [...readme.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code)
}

test('the scenario of the README is the one that it names', () => {
  const shown = blocks().filter((b) => b.startsWith('litmus '))
  assert.equal(shown.length, 1)
  for (const text of shown) {
    const name = /^litmus (\S+)/.exec(text)?.[1]
    assert.equal(text, readFileSync(join(ROOT, `litmus/${name}.litmus`), 'utf8'))
  }
})

/** What the matrix says of a line of the golden file. */
function wordOf(verdict: string, found: readonly string[]): string {
  if (verdict === 'skipped') return '-'
  if (verdict !== 'finding') return verdict
  const [first = '', ...more] = found.filter((f) => !f.startsWith('+'))
  const word = shortFinding(first.split('@')[0] ?? '')
  return more.length > 0 ? `${word}+${more.length}` : word
}

test("the README's part of the matrix is as the matrix is", () => {
  const matrix = blocks().find((b) => b.includes('…\n') && b.includes('memory-failure\n')) ?? ''
  const golden = new Map<string, string[]>()
  const lines = readFileSync(join(ROOT, 'test/explore/matrix.golden.txt'), 'utf8')
    .trim()
    .split('\n')
  for (const [name = '', , verdict = '', , ...found] of lines.map((l) => l.split(' '))) {
    golden.set(name, [...(golden.get(name) ?? []), wordOf(verdict, found)])
  }
  let area = ''
  let rows = 0
  for (const line of matrix.split('\n')) {
    if (/^\S/.test(line)) area = line
    const [name = '', ...words] = line.trim().split(/ +/)
    if (area === '' || !/^ {2}\S/.test(line)) continue
    assert.deepEqual(words, golden.get(`${area}/${name}`), `${area}/${name}`)
    rows++
  }
  assert.ok(rows > 10, `only ${rows} rows were read`)
})

test('docs/api.md names all that can be asked, by the names that it has', () => {
  const page = readFileSync(join(ROOT, 'docs/api.md'), 'utf8')
  const [, list = ''] = /- `check\(([\s\S]*?)\n- /.exec(page) ?? []
  const fields = (path: string, name: string): string[] => {
    const text = readFileSync(join(ROOT, path), 'utf8')
    const [, body = ''] = new RegExp(`interface ${name} \\{\\n([\\s\\S]*?)\\n\\}`).exec(text) ?? []
    return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, field]) => field as string)
  }
  const own = [
    ...fields('src/app/host/run.ts', 'CheckRequest'),
    ...['Question', 'Limits'].flatMap((name) => fields('src/app/ask.ts', name)),
  ]
  assert.ok(own.length > 15)
  const named = new Set(list.match(/\b[a-z][A-Za-z]+\b/g))
  assert.deepEqual(
    own.filter((field) => !named.has(field)),
    [],
  )
})
