/**
 * Generates docs/fidelity.md: which Linux function each kernel function models, and what it
 * simplifies, from the `Models:` and `Simplifies:` lines of the comments. With --check it writes
 * nothing and fails if the page is not up to date.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const PAGE = join(ROOT, 'docs/fidelity.md')

function sources(dir) {
  return readdirSync(dir, { withFileTypes: true })
    .sort((a, b) => a.name.localeCompare(b.name))
    .flatMap((e) => (e.isDirectory() ? sources(join(dir, e.name)) : [join(dir, e.name)]))
    .filter((p) => p.endsWith('.ts'))
}

/** The comment's text after a keyword, up to the next keyword or blank line. */
function clause(comment, keyword) {
  const i = comment.indexOf(`${keyword}:`)
  if (i < 0) return undefined
  const rest = comment.slice(i + keyword.length + 1).split(/\n\s*\n|(?:Models|Simplifies):/)[0]
  return rest.replace(/\s+/g, ' ').trim()
}

function entriesOf(path) {
  const text = readFileSync(path, 'utf8')
  const entries = []
  for (const m of text.matchAll(
    /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*\n(?:export )?(?:const|function) (\w+)/g,
  )) {
    const comment = m[1].replace(/^\s*\* ?/gm, '')
    const models = clause(comment, 'Models')
    if (models === undefined) continue
    entries.push({ name: m[2], models, simplifies: clause(comment, 'Simplifies') })
  }
  return entries
}

const cell = (text) => text.replaceAll('|', '\\|')
const lines = [
  '# Fidelity',
  '',
  'What each function of the kernel models, and where it simplifies. Generated from the comments',
  'by `node tools/fidelity.mjs`; do not edit.',
  '',
]
let count = 0
for (const path of ['src/kernel', 'src/user', 'src/designs', 'src/hosts'].flatMap((d) =>
  sources(join(ROOT, d)),
)) {
  const entries = entriesOf(path)
  if (entries.length === 0) continue
  count += entries.length
  lines.push(
    `## ${relative(ROOT, path)}`,
    '',
    '| function | models | simplifies |',
    '| --- | --- | --- |',
  )
  for (const e of entries) {
    lines.push(`| \`${e.name}\` | ${cell(e.models)} | ${cell(e.simplifies ?? '')} |`)
  }
  lines.push('')
}
const page = `${lines.join('\n').trimEnd()}\n`

if (process.argv.includes('--check')) {
  if (readFileSync(PAGE, 'utf8') !== page) {
    process.stderr.write('docs/fidelity.md is not up to date: run node tools/fidelity.mjs\n')
    process.exit(1)
  }
} else {
  writeFileSync(PAGE, page)
  process.stderr.write(`docs/fidelity.md: ${count} functions\n`)
}
