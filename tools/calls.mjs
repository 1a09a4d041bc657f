/**
 * Generates docs/calls.md from the table of calls: what scenarios write, what programs of
 * transcripts write, and by which system call a running kernel is asked. With --check it writes
 * nothing and fails if the page is not up to date. Needs the build.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const PAGE = join(ROOT, 'docs/calls.md')

const { CALLS, PROGRAM_ONLY, programParameters } = await import(
  join(ROOT, 'dist/src/calls/table.js')
)

const inScenario = ({ parameters }) =>
  parameters.map((p) => (p.preset === undefined ? p.name : `${p.name}=${p.preset}`)).join(', ')

function inProgram(row) {
  if (row.program === undefined) return ''
  const names = programParameters(row).map((p) => p.name)
  return names.length === 0 ? '(none)' : names.join(', ')
}

function live({ program }) {
  if (program === undefined) return ''
  if (program.ownMachine) return 'only in a machine of its own'
  return program.nr === undefined ? 'yes' : `number ${program.nr}`
}

const lines = [
  '# Calls',
  '',
  'Every call that a scenario can make, with its arguments and their presets. Those with an entry',
  'in the third column stand in programs too ([transcripts.md](transcripts.md)); there a VM is the',
  'current one, files and maps are numbers by order of creation, and what is not named is the',
  'preset. The last column says how a running kernel is asked. Generated from `src/calls` by',
  '`node tools/calls.mjs`; do not edit.',
  '',
  '| call | in a scenario | in a program | on a running kernel | |',
  '| --- | --- | --- | --- | --- |',
]
for (const [name, row] of Object.entries(CALLS)) {
  lines.push(`| \`${name}\` | ${inScenario(row)} | ${inProgram(row)} | ${live(row)} | ${row.doc} |`)
}
lines.push('', 'Programs have some more, which are no calls of the kernel:', '')
lines.push('| | arguments | |', '| --- | --- | --- |')
for (const [name, { parameters, doc }] of Object.entries(PROGRAM_ONLY)) {
  lines.push(`| \`${name}\` | ${parameters.join(', ')} | ${doc} |`)
}
const page = `${lines.join('\n')}\n`

if (process.argv.includes('--check')) {
  if (readFileSync(PAGE, 'utf8') !== page) {
    process.stderr.write('docs/calls.md is not up to date: run node tools/calls.mjs\n')
    process.exit(1)
  }
} else {
  writeFileSync(PAGE, page)
  process.stderr.write(`docs/calls.md: ${Object.keys(CALLS).length} calls\n`)
}
