/**
 * Records the hashes of a kernel tree's functions in docs/linux-functions.json, as far as the model
 * has them: `node tools/functions.mjs VERSION TREE`. Of a version whose tree is not at hand,
 * `node tools/functions.mjs VERSION --between A B` records what A and B have alike. No text of the
 * kernel is kept. The project is built.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const FILE = join(ROOT, 'docs/linux-functions.json')
const [version, from, a, b] = process.argv.slice(2)
if (version === undefined || from === undefined) {
  process.stderr.write('usage: node tools/functions.mjs VERSION TREE | VERSION --between A B\n')
  process.exit(2)
}

const all = existsSync(FILE)
  ? JSON.parse(readFileSync(FILE, 'utf8'))
  : { schema: 1, versions: {}, functions: {} }

function record(c, hash) {
  const of = { ...all.functions[c], [version]: hash }
  all.functions[c] = Object.fromEntries(Object.entries(of).sort(byVersion))
}

function byVersion([x], [y]) {
  return x.localeCompare(y, 'en', { numeric: true })
}

if (from === '--between') {
  for (const [c, of] of Object.entries(all.functions)) {
    if (of[version] === undefined && of[a] !== undefined && of[a] === of[b]) record(c, of[a])
  }
  const own = all.versions[version]
  const between = `where ${a} and ${b} agree`
  if (own === undefined) all.versions[version] = between
  else if (!own.endsWith(between)) all.versions[version] = `${own}; others ${between}`
} else {
  const { dictionary } = await import('../dist/src/patch/host/dictionary.js')
  const { startCParser } = await import('../dist/src/patch/host/grammar.js')
  const { modelledFiles } = await import('../dist/src/patch/host/tree.js')
  const { hashOf } = await import('../dist/src/patch/host/changed-since.js')
  const { modelledIn } = await import('../dist/src/patch/fingerprint.js')
  await startCParser()
  const words = dictionary()
  const found = modelledIn(modelledFiles(from, words), words)
  for (const f of found) record(f.c, hashOf(f.tokens))
  const files = new Set(found.map((f) => f.file))
  all.versions[version] = files.size > 4 ? 'source' : `source of ${[...files].sort().join(', ')}`
  process.stderr.write(`${version}: ${found.length} functions\n`)
}

const sorted = Object.entries(all.functions).sort(([x], [y]) => (x < y ? -1 : 1))
const lines = sorted.map(([c, of]) => `  ${JSON.stringify(c)}: ${JSON.stringify(of)}`)
const versions = Object.fromEntries(Object.entries(all.versions).sort(byVersion))
writeFileSync(
  FILE,
  `{\n "schema": 1,\n "versions": ${JSON.stringify(versions)},\n "functions": {\n${lines.join(',\n')}\n }\n}\n`,
)
