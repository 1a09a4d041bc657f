/**
 * Generates docs/errno.md and docs/errno.json from the rows of test/errno: call, condition, answer
 * and, on the page, how it is known.
 * With --check it writes nothing and fails if the page is not up to date. Needs the build.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const PAGE = join(ROOT, 'docs/errno.md')
/** The same for programs. */
const TABLE = join(ROOT, 'docs/errno.json')

const { ROWS } = await import(join(ROOT, 'dist/test/errno/index.js'))
const { PROFILES } = await import(join(ROOT, 'dist/test/errno/row.js'))

const KNOWN = { live: 'live', recorded: 'recorded', read: 'only read' }

function cell(row, profile) {
  const answer = row.answer[profile]
  return answer === undefined ? '' : `${answer} (${KNOWN[row.source[profile]]})`
}

const lines = [
  '# Errors',
  '',
  'What calls answer, by version of Linux, and how we know: confirmed *live* on a running kernel,',
  '*recorded* in `transcripts/`, or *only read* in the source. Where two things are wrong, the',
  'answer says which is looked at first. Each row runs on the model. Generated from `test/errno`',
  'by `node tools/errno.mjs`; do not edit.',
  '',
]
for (const call of new Set(ROWS.map((row) => row.call))) {
  lines.push(`## ${call}`, '', `| condition | ${PROFILES.join(' | ')} |`, '| --- | --- | --- |')
  for (const row of ROWS.filter((r) => r.call === call)) {
    lines.push(`| ${row.condition} | ${PROFILES.map((p) => cell(row, p)).join(' | ')} |`)
  }
  lines.push('')
}
const page = `${lines.join('\n').trimEnd()}\n`
const rows = ROWS.map(({ call, condition, answer }) => {
  const answers = Object.entries(answer).map(([profile, value]) => [profile, String(value)])
  return JSON.stringify({ call, condition, answer: Object.fromEntries(answers) })
})
const table = `[\n${rows.join(',\n')}\n]\n`

if (process.argv.includes('--check')) {
  if (readFileSync(PAGE, 'utf8') !== page || readFileSync(TABLE, 'utf8') !== table) {
    process.stderr.write('docs/errno.md is not up to date: run node tools/errno.mjs\n')
    process.exit(1)
  }
} else {
  writeFileSync(PAGE, page)
  writeFileSync(TABLE, table)
  process.stderr.write(`docs/errno.md: ${ROWS.length} rows\n`)
}
