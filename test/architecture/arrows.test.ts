import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { test } from 'node:test'

const ROOT = resolve(import.meta.dirname, '../../..')
const SRC = join(ROOT, 'src')

/** What each folder of src/ may import, besides itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  machine: [],
  lower: [],
  kernel: ['machine'],
  user: ['machine', 'kernel'],
  calls: ['machine', 'kernel', 'user'],
  designs: ['machine', 'kernel', 'user'],
  sanitizers: ['machine', 'kernel', 'user'],
  trace: [],
  litmus: ['machine', 'kernel', 'user', 'calls', 'designs', 'explore'],
  explore: ['machine', 'kernel', 'user', 'designs', 'sanitizers', 'litmus', 'trace'],
  report: ['explore', 'trace', 'kernel', 'litmus'],
  conform: ['machine', 'kernel', 'user', 'calls', 'designs', 'explore'],
  live: ['calls', 'conform'],
  promela: ['machine', 'lower', 'litmus', 'sanitizers'],
  cli: [
    'machine',
    'kernel',
    'designs',
    'hosts',
    'sanitizers',
    'litmus',
    'explore',
    'trace',
    'report',
    'lower',
    'conform',
    'live',
    'promela',
  ],
}

/** Where `null` is NULL. */
const USES_NULL = ['machine', 'kernel', 'user', 'designs', 'sanitizers']

/** Files that may talk to Node: the command line, the live kernel and the compiler's host. */
const MAY_USE_NODE = [/^cli\//, /^live\//, /^lower\/host\.ts$/]

function sources(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((e) => {
    const path = join(dir, e.name)
    if (e.isDirectory()) return sources(path)
    return e.name.endsWith('.ts') ? [path] : []
  })
}

function importsOf(path: string): string[] {
  const text = readFileSync(path, 'utf8')
  const matches = text.matchAll(/^(?:import|export|\} from)\b(?!\.meta)[^'"\n]*?['"]([^'"]+)['"]/gm)
  return [...matches].map((m) => m[1] ?? '')
}

test('imports go one way', () => {
  const wrong: string[] = []
  for (const path of sources(SRC)) {
    const from = relative(SRC, path).split(sep)[0] ?? ''
    for (const specifier of importsOf(path)) {
      if (!specifier.startsWith('.')) continue
      const to = relative(SRC, resolve(dirname(path), specifier)).split(sep)[0] ?? ''
      if (to !== from && !ALLOWED[from]?.includes(to)) {
        wrong.push(`${relative(ROOT, path)} imports ${specifier}`)
      }
    }
  }
  assert.deepEqual(wrong, [])
})

test('the core does not know what it runs on', () => {
  const wrong: string[] = []
  for (const path of sources(SRC)) {
    const file = relative(SRC, path).split(sep).join('/')
    if (MAY_USE_NODE.some((r) => r.test(file))) continue
    for (const specifier of importsOf(path)) {
      if (specifier.startsWith('node:')) wrong.push(`${file} imports ${specifier}`)
    }
    const code = readFileSync(path, 'utf8')
    if (/\b(Date\.now|Math\.random|performance\.now|process\.|new Date)\b/.test(code)) {
      wrong.push(`${file} uses a clock, randomness or the process`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('kernel code and sanitizers read memory through structs, so that every read is heard', () => {
  const wrong: string[] = []
  for (const folder of ['kernel', 'user', 'designs', 'hosts', 'sanitizers']) {
    for (const path of sources(join(SRC, folder))) {
      if (/\bmem\b.*machine\/arena/.test(readFileSync(path, 'utf8')))
        wrong.push(relative(ROOT, path))
    }
  }
  assert.deepEqual(wrong, [])
})

test('the kernel and the machine use null for NULL; other code says undefined', () => {
  const wrong: string[] = []
  const folders = readdirSync(SRC).filter((f) => !USES_NULL.includes(f))
  for (const folder of folders) {
    for (const path of sources(join(SRC, folder))) {
      const code = readFileSync(path, 'utf8').replace(
        /\/\*[\s\S]*?\*\/|\/\/.*|'[^'\n]*'|`[^`]*`/g,
        '',
      )
      if (/(===|!==|return|=)\s*null\b/.test(code)) wrong.push(relative(ROOT, path))
    }
  }
  assert.deepEqual(wrong, [])
})

test('the command and its workers start without the compiler', () => {
  const seen = new Set([join(SRC, 'cli/main.ts'), join(SRC, 'cli/worker.ts')])
  for (const path of seen) {
    for (const specifier of importsOf(path)) {
      assert.notEqual(specifier, 'typescript', `${relative(ROOT, path)} is always loaded`)
      if (specifier.startsWith('.')) {
        seen.add(resolve(dirname(path), specifier.replace(/\.js$/, '.ts')))
      }
    }
  }
  assert.ok(seen.size > 50)
})
