/**
 * Whatever the kernel does with the content of a frame, it does through the direct map, and a host
 * that protects its guests may forbid that: so it asks for each load and each store.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

const ROOT = resolve(import.meta.dirname, '../../..')

/** By function: why it does not ask. */
const NO_ACCESS: Readonly<Record<string, string>> = {
  access: 'the guest, by its own page table',
  allocFolio: 'a frame changes hands, and nobody looks at it',
  frame: 'what frames hold before the kernel runs',
}

const CONTENT = /\b[\w.!]*(?:folio|copy|old|page|source|src|dst)!?\.data\b/i
/** The bytes beside those that are stored are not loaded. */
const KEPT = /withBytes\([\w.!]+\.data as Blob|\([\w.!]+\.data as Blob\)/g

/** What loads or stores and does not ask. */
function silent(text: string): string[] {
  const found: string[] = []
  for (const part of text.split(/^(?=export |function |const )/m)) {
    const [, name = ''] = /^(?:export )?(?:const|function) (\w+)/.exec(part) ?? []
    const lines = part.split('\n').filter((l) => !/^ *(\*|\/)/.test(l))
    for (const line of lines.map((l) => l.replace(KEPT, '')).filter((l) => CONTENT.test(l))) {
      const [left = '', right = ''] = line.includes(' = ') ? line.split(' = ') : ['', line]
      if (CONTENT.test(right) && !part.includes('directMapLoad(')) found.push(`${name} loads`)
      if (CONTENT.test(left) && !part.includes('directMapStore(')) found.push(`${name} stores`)
    }
  }
  return found
}

test('the kernel asks before it touches the content of a frame', () => {
  const folder = join(ROOT, 'src/kernel')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const found = files
    .filter((f) => f.endsWith('.ts'))
    .flatMap((f) => silent(readFileSync(join(folder, f), 'utf8')))
  const excused = Object.keys(NO_ACCESS)
  assert.deepEqual(
    found.filter((f) => !excused.includes(f.split(' ')[0] as string)),
    [],
  )
  assert.deepEqual(
    excused.filter((name) => !found.some((f) => f.startsWith(`${name} `))),
    [],
  )
})

test('who forgets to ask is found', () => {
  const load = 'export const wpPageCopy = fn(function* wp_page_copy() {\n  x = old.data\n})\n'
  assert.deepEqual(silent(load), ['wpPageCopy loads'])
  const store = 'function clearFolio(folio: Folio): void {\n  folio.data = ZERO_PAGE\n}\n'
  assert.deepEqual(silent(store), ['clearFolio stores'])
})
