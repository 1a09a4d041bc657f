/**
 * Generates docs/fidelity.md: which Linux function each kernel function models, and what it
 * simplifies, from the `Models:` and `Simplifies:` lines of the comments; and with what of 6.18 it
 * was compared, if 6.18 runs it: what a `Compared:` line says, the source that it models, or the
 * recordings in which it runs, which the tests replay without a difference. A host is held to the
 * same: what it models is a version of its own, and its `Compared:` says which other it was read
 * beside. With --check it writes nothing and fails if the page is not up to date. The project is
 * built.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const PAGE = join(ROOT, 'docs/fidelity.md')
const PROFILE = 'src/kernel/v6_18'
/** What no release has yet. */
const NEXT = 'src/kernel/v7_4'
const HOSTS = 'src/hosts'
const NOT_COMPARED = '**not compared**'

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
  const rest = comment
    .slice(i + keyword.length + 1)
    .split(/\n\s*\n|(?:Models|Derived|Simplifies|Compared):/)[0]
  return rest.replace(/\s+/g, ' ').trim()
}

/** Constants that 6.18 replaces. */
const replaced = new Set(
  [...readFileSync(join(ROOT, PROFILE, 'index.ts'), 'utf8').matchAll(/replace\((\w+),/g)].map(
    (m) => m[1],
  ),
)

/** What the C of trees, in the place of a function, led to: see tools/calibrated.mjs. */
const CALIBRATED = Object.values(
  JSON.parse(readFileSync(join(ROOT, 'docs/calibrated.json'), 'utf8')),
)

/** Against which trees a function was calibrated, and in how many cells and final states. */
function calibrated(name) {
  const rows = CALIBRATED.flatMap((functions) => functions[name] ?? [])
  return rows
    .map(({ tree, result, cells, states }) =>
      result === 'equal' ? `${tree} (${cells} cells, ${states} states)` : `${tree}: differs`,
    )
    .join('; ')
}

/** By C name: the recordings of 6.18 in which a function runs. */
async function recordings() {
  const { parseTranscript } = await import('../dist/src/conform/program.js')
  const { Model } = await import('../dist/src/conform/model.js')
  const { watchReturns } = await import('../dist/src/machine/frames.js')
  const ran = new Map()
  const folder = join(ROOT, 'transcripts')
  for (const file of readdirSync(folder).sort()) {
    const family = /^linux-6\.18-(.*)\.jsonl$/.exec(file)?.[1]
    if (family === undefined) continue
    const model = new Model('6.18', true)
    watchReturns((cName) => {
      if (!ran.has(cName)) ran.set(cName, new Set())
      ran.get(cName).add(family)
    })
    const { programs } = parseTranscript(readFileSync(join(folder, file), 'utf8'), file)
    for (const { ops } of programs) model.run(ops)
    watchReturns(undefined)
  }
  return ran
}

const ran = await recordings()

/** With what of 6.18 a function was compared; of a function that 6.18 does not run, why not. */
function compared({ name, cName, models, said }, file) {
  if (file.startsWith(HOSTS)) return said?.replace(/\.$/, '') ?? NOT_COMPARED
  if (!file.startsWith('src/kernel') || file.startsWith(NEXT)) return 'not in 6.18'
  if (replaced.has(name)) return 'replaced by 6.18'
  const with_ = []
  if (said !== undefined) with_.push(said.replace(/\.$/, ''))
  else if (/\b6\.18/.test(models)) with_.push('source')
  const families = [...(ran.get(cName) ?? [])]
  if (families.length > 0) with_.push(`recordings (${families.join(', ')})`)
  return with_.length > 0 ? with_.join('; ') : NOT_COMPARED
}

function entriesOf(path) {
  const text = readFileSync(path, 'utf8')
  const entries = []
  for (const m of text.matchAll(
    /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*\n(?:export )?(?:const|function) (\w+)(?: = fn\(function\*? (\w+))?/g,
  )) {
    const comment = m[1].replace(/^\s*\* ?/gm, '')
    const derived = clause(comment, 'Derived')
    const models = clause(comment, 'Models') ?? (derived && `derived: ${derived}`)
    if (models === undefined) continue
    const [, , name, cName] = m
    const simplifies = clause(comment, 'Simplifies')
    entries.push({ name, cName, models, simplifies, said: clause(comment, 'Compared') })
  }
  return entries
}

/** The switches of a file: fields of its `OpenRows`, with what each says. */
function switchesOf(path) {
  const body = /export interface OpenRows \{\n([\s\S]*?)\n\}/.exec(readFileSync(path, 'utf8'))?.[1]
  const fields = body?.matchAll(/\/\*\*\s*([\s\S]*?)\s*\*\/\s*readonly (\w+):/g) ?? []
  return [...fields].map(
    ([, text, name]) =>
      `- \`${name}\` of \`${relative(ROOT, path)}\`: ${text.replace(/\s*\n\s*\* ?/g, ' ')}`,
  )
}

const cell = (text) => text.replaceAll('|', '\\|')
const lines = [
  '# Fidelity',
  '',
  'What each function of the kernel models, where it simplifies, and with what of 6.18 it was',
  'compared. Generated from the comments and the recordings by `node tools/fidelity.mjs`; do not',
  'edit.',
  '',
  'Most of what 6.18 runs was written beside 6.2. The fourth column says how it is known to hold',
  'there too: by the source of 6.18, or of what the line names; by recordings of 6.18 in which the',
  'function runs and every answer agrees; or not at all. A version with `(notes)` behind it is known',
  'from notes on its source, which was not read beside the function.',
  '',
  'Calibrated is a function whose C, translated, ran in its place: in every scenario that reaches it',
  'all final states were equal, word by word, or where not, the line says why it simplifies.',
  '',
  'What a host does has versions of its own: the column says which other version the function',
  'was read beside. What is derived is in no Linux; the line says from what it was made. Rows of a',
  "host's tables that no source settles are switches, and the tests try all ways:",
  '',
  ...sources(join(ROOT, HOSTS)).flatMap(switchesOf),
  '',
]
let count = 0
let open = 0
let openOnHosts = 0
for (const path of ['src/kernel', 'src/user', 'src/designs', 'src/hosts'].flatMap((d) =>
  sources(join(ROOT, d)),
)) {
  const entries = entriesOf(path)
  if (entries.length === 0) continue
  count += entries.length
  const file = relative(ROOT, path)
  lines.push(
    `## ${file}`,
    '',
    `| function | models | simplifies | ${file.startsWith(HOSTS) ? '' : '6.18 '}compared with | calibrated against |`,
    '| --- | --- | --- | --- | --- |',
  )
  for (const e of entries) {
    const of618 = compared(e, file)
    if (of618 === NOT_COMPARED && file.startsWith(HOSTS)) openOnHosts++
    else if (of618 === NOT_COMPARED) open++
    const texts = [e.models, e.simplifies ?? '', of618, calibrated(e.name)]
    const cells = [`\`${e.name}\``, ...texts.map(cell)]
    lines.push(`| ${cells.join(' | ')} |`)
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
  const notRead = `${open} not compared with 6.18, ${openOnHosts} of hosts with no other version`
  process.stderr.write(`docs/fidelity.md: ${count} functions, ${notRead}\n`)
}
