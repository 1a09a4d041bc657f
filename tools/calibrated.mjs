/**
 * Adds what `fidelity --json` printed to docs/calibrated.json: by design and function, the tree, the
 * result, the cells and the final states that were compared. No text of a kernel. The name is that of
 * the tree, or of the series that a function is from.
 *
 *   restrictedmem fidelity --linux ~/linux --json | node tools/calibrated.mjs 6.17
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const FILE = join(ROOT, 'docs/calibrated.json')

const [tree] = process.argv.slice(2)
if (tree === undefined) {
  process.stderr.write('calibrated: which tree was it?\n')
  process.exit(2)
}
const all = JSON.parse(readFileSync(FILE, 'utf8'))
let count = 0
for (const { design, target, result, cells, states } of JSON.parse(readFileSync(0, 'utf8'))) {
  if (result !== 'equal' && result !== 'differs') continue
  all[design] ??= {}
  all[design][target] = { tree, result, cells, states }
  count++
}
const lines = Object.entries(all).map(([design, functions]) => {
  const rows = Object.entries(functions)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, row]) => `  ${JSON.stringify(name)}: ${JSON.stringify(row)}`)
  return ` ${JSON.stringify(design)}: {\n${rows.join(',\n')}\n }`
})
writeFileSync(FILE, `{\n${lines.join(',\n')}\n}\n`)
process.stderr.write(`docs/calibrated.json: ${count} functions of ${tree}\n`)
