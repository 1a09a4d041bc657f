/** Runs the tests, then the linter, and closes with one line: `N passed, N failed`. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')

function tests(dir) {
  return readdirSync(dir, { withFileTypes: true }).flatMap((e) => {
    const path = join(dir, e.name)
    if (e.isDirectory()) return tests(path)
    return e.name.endsWith('.test.js') ? [path] : []
  })
}

const TSC = join(ROOT, 'node_modules/typescript/bin/tsc')

const wanted = process.argv.slice(2)
const DIST = join(ROOT, 'dist')
const named = (f) => relative(DIST, f).split(sep).join('/')
const files = tests(join(DIST, 'test')).filter(
  (f) => wanted.length === 0 || wanted.some((w) => named(f).includes(w)),
)
let passed = 0
let failed = 0

const stream = run({ files, concurrency: Math.max(1, availableParallelism()) })
stream.on('test:pass', ({ details }) => {
  if (details.type !== 'suite') passed++
})
stream.on('test:fail', ({ details }) => {
  if (details.type !== 'suite') failed++
})
stream.compose(new spec()).pipe(process.stdout)

stream.on('end', () => {
  if (wanted.length === 0) {
    const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome')
    const checks = [
      ['formatter and linter', [biome, 'check', '--max-diagnostics=20', ROOT]],
      ['fidelity page', [join(ROOT, 'tools/fidelity.mjs'), '--check']],
      ['order of locks', [join(ROOT, 'tools/lock-order.mjs'), '--check']],
      ['page of rooms', [join(ROOT, 'tools/rooms.mjs'), '--check']],
      ['page of invariants', [join(ROOT, 'tools/invariants.mjs'), '--check']],
      ['table of errors', [join(ROOT, 'tools/errno.mjs'), '--check']],
      ['page of calls', [join(ROOT, 'tools/calls.mjs'), '--check']],
      ['types of the page', [TSC, '-p', join(ROOT, 'src/lab/page')]],
    ]
    for (const [name, args] of checks) {
      const { status, stdout, stderr } = spawnSync(process.execPath, args, {
        encoding: 'utf8',
        cwd: ROOT,
      })
      if (status === 0) passed++
      else {
        failed++
        process.stdout.write(`${name}:\n${stdout}${stderr}\n`)
      }
    }
  }
  setImmediate(() => {
    process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
    process.exitCode = failed === 0 && passed > 0 ? 0 : 1
  })
})
