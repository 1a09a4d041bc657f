/** What a page names is there: links, and the paths of files and folders. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'

const ROOT = resolve(import.meta.dirname, '../../..')

/** Where a page may begin to count from. */
const BEGINNINGS = ['', 'src', 'docs', 'test']

function pages(): string[] {
  const named = (folder: string): string[] =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name))
  return ['', 'docs', 'docs/decisions'].flatMap(named)
}

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
