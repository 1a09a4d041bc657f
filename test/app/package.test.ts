/**
 * The package as a user gets it: packed, and installed in an empty folder. What it depends on is
 * taken from our own node_modules, so that no network is needed.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, test } from 'node:test'

const ROOT = resolve(import.meta.dirname, '../../..')
const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-package-'))
after(() => rmSync(folder, { recursive: true, force: true }))

interface Ran {
  readonly code: number | null
  readonly out: string
}

function run(program: string, args: readonly string[], cwd = folder): Ran {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') },
    shell: process.platform === 'win32',
  })
  assert.equal(error, undefined)
  return { code: status, out: `${stdout}${stderr}` }
}

/** A program of the installed package, or of what it depends on. */
function node(...args: string[]): Ran {
  return run(process.execPath, args)
}

const COMMAND = 'node_modules/restrictedmem/dist/src/cli/main.js'

function install(): void {
  const { dependencies, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const packed = run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], ROOT)
  assert.equal(packed.code, 0, packed.out)
  const own = Object.keys(dependencies).map((name) => [
    name,
    `file:${join(ROOT, 'node_modules', name)}`,
  ])
  const manifest = {
    private: true,
    type: 'module',
    dependencies: { restrictedmem: `file:${join(folder, `restrictedmem-${version}.tgz`)}` },
    overrides: Object.fromEntries(own),
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  const options = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--omit=optional']
  const installed = run('npm', ['install', ...options])
  assert.equal(installed.code, 0, installed.out)
}

describe('installed in an empty folder', () => {
  install()

  test('the command says its version, and checks a built-in scenario', () => {
    assert.match(node(COMMAND, '--version').out, /^\d+\.\d+\.\d+\n$/)
    const { code, out } = node(COMMAND, 'check', '-d', 'v10', 'size/truncate-to-the-same-size')
    assert.equal(code, 0, out)
    assert.match(out, /secondary-use-after-free/)
    assert.equal(node(COMMAND, 'explain', 'EBUSY').code, 0)
  })

  test('the page is in it, so that it can be served without the tools that built it', () => {
    assert.equal(node(COMMAND, 'lab', '--single', 'lab.html', 'no-such-file').code, 2)
    for (const name of ['app.js', 'single.js', 'worker.js', 'style.css', 'docs.json']) {
      assert.ok(existsSync(join(folder, 'node_modules/restrictedmem/dist/lab', name)), name)
    }
  })

  test("a user's design is checked on a user's scenario, and an editor resolves its imports", () => {
    copyFileSync(join(ROOT, 'examples/kirill.ts'), join(folder, 'mine.ts'))
    const name = 'guest-touch-vs-compaction.litmus'
    copyFileSync(join(ROOT, 'litmus/migration', name), join(folder, name))
    assert.match(node(COMMAND, 'check', '-d', 'mine.ts', name).out, /on kirill: clean/)
    const options = ['--noEmit', '--strict', '--target', 'es2023', '--module', 'nodenext']
    const checked = node('node_modules/typescript/bin/tsc', ...options, 'mine.ts')
    assert.equal(checked.code, 0, checked.out)
  })

  test('the example of docs/api.md runs, and prints what the page says', () => {
    const page = readFileSync(join(ROOT, 'docs/api.md'), 'utf8')
    const [, program = ''] = /```js\n([\s\S]*?)```/.exec(page) ?? []
    const [, printed = ''] = /prints\n\n```\n([\s\S]*?)```/.exec(page) ?? []
    writeFileSync(join(folder, 'example.js'), program)
    const { code, out } = node('example.js')
    assert.equal(code, 0, out)
    assert.equal(out.replace(/rm2\.\S+/g, 'rm2…'), printed)
  })

  test('everything that is exported has types', () => {
    const use = `import { check, loadScenarios, type Results } from 'restrictedmem'
const results: Results = await check({ scenarios: loadScenarios(), designs: [], workers: 'x' })
`
    writeFileSync(join(folder, 'use.ts'), use)
    const options = ['--noEmit', '--strict', '--target', 'es2023', '--module', 'nodenext']
    const { code, out } = node('node_modules/typescript/bin/tsc', ...options, 'use.ts')
    assert.notEqual(code, 0)
    assert.match(out, /TS2554: Expected 1-2 arguments/)
    assert.match(out, /Type 'string' is not assignable to type 'number'/)
    assert.equal(out.trim().split('\n').length, 2, out)
  })
})
