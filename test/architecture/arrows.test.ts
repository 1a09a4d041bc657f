import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { test } from 'node:test'

const ROOT = resolve(import.meta.dirname, '../../..')
const SRC = join(ROOT, 'src')

/** What each folder of src/, and each room of explore, may import, besides itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  machine: [],
  lower: [],
  kernel: ['machine'],
  user: ['machine', 'kernel'],
  calls: ['machine', 'kernel', 'user'],
  designs: ['machine', 'kernel', 'user'],
  hosts: ['machine', 'kernel', 'user', 'designs'],
  sanitizers: ['machine', 'kernel', 'user', 'hosts'],
  trace: [],
  litmus: ['machine', 'kernel', 'user', 'calls', 'designs', 'hosts'],
  cell: ['machine', 'kernel', 'user', 'designs', 'sanitizers', 'litmus'],
  'explore/states': ['machine'],
  'explore/listen': ['machine', 'kernel', 'cell'],
  'explore/prove': ['machine', 'cell', 'explore/states', 'explore/listen'],
  'explore/stateless': ['machine', 'cell', 'explore/listen'],
  'explore/sample': ['machine', 'cell', 'explore/listen'],
  'explore/tell': [
    ...['machine', 'kernel', 'designs', 'litmus', 'cell', 'trace'],
    ...['explore/states', 'explore/prove', 'explore/stateless'],
  ],
  app: ['machine', 'designs', 'litmus', 'cell', 'explore', 'trace'],
  'app/host': [
    'trace',
    ...['app', 'designs', 'hosts', 'litmus', 'cell', 'sanitizers', 'explore', 'machine'],
    ...['lower', 'promela', 'conform'],
  ],
  report: ['app', 'explore', 'trace', 'kernel', 'litmus', 'sanitizers'],
  conform: ['machine', 'kernel', 'user', 'calls', 'designs', 'cell'],
  live: ['calls', 'conform', 'kernel'],
  promela: ['machine', 'lower', 'litmus', 'sanitizers'],
  patch: ['machine', 'designs', 'litmus', 'cell', 'explore/prove', 'app'],
  cli: [
    'app',
    'app/host',
    'machine',
    'kernel',
    'user',
    'calls',
    'designs',
    'hosts',
    'sanitizers',
    'litmus',
    'cell',
    'explore',
    'trace',
    'report',
    'lower',
    'conform',
    'live',
    'promela',
    'patch',
  ],
}

/** Where `null` is NULL. */
const USES_NULL = ['machine', 'kernel', 'user', 'designs', 'hosts', 'sanitizers']

/** Files that may talk to Node: the host of the library, commands, the live kernel, the compiler's. */
const MAY_USE_NODE = [/^app\/host\//, /^cli\//, /^live\//, /^lower\/host\.ts$/]

function sources(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((e) => {
    const path = join(dir, e.name)
    if (e.isDirectory()) return sources(path)
    return e.name.endsWith('.ts') ? [path] : []
  })
}

/** The folder, or the room of it, that a file belongs to. */
function roomOf(path: string): string {
  const parts = relative(SRC, path).split(sep)
  const room = `${parts[0]}/${parts[1]}`
  return room in ALLOWED ? room : (parts[0] ?? '')
}

function mayImport(from: string, to: string): boolean {
  if (to === from || ALLOWED[from]?.includes(to)) return true
  // Who may import explore may import its rooms.
  return to.startsWith('explore/') && ALLOWED[from]?.includes('explore') === true
}

function importsOf(path: string): string[] {
  const text = readFileSync(path, 'utf8')
  const matches = text.matchAll(/^(?:import|export|\} from)\b(?!\.meta)[^'"\n]*?['"]([^'"]+)['"]/gm)
  return [...matches].map((m) => m[1] ?? '')
}

test('imports go one way', () => {
  const wrong: string[] = []
  for (const path of sources(SRC)) {
    const from = roomOf(path)
    for (const specifier of importsOf(path)) {
      if (!specifier.startsWith('.')) continue
      const to = roomOf(resolve(dirname(path), specifier))
      if (!mayImport(from, to)) {
        wrong.push(`${relative(ROOT, path)} imports ${specifier}`)
      }
    }
  }
  assert.deepEqual(wrong, [])
})

test('no two files of explore have one name', () => {
  const names = sources(join(SRC, 'explore')).map((path) => basename(path))
  assert.deepEqual(
    names.filter((n, i) => names.indexOf(n) !== i),
    [],
  )
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
  const seen = new Set([
    join(SRC, 'cli/main.ts'),
    join(SRC, 'cli/check.ts'),
    join(SRC, 'app/host/worker.ts'),
  ])
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

/** Modules that are loaded with a file: what is imported as a type, or by `import()`, is not. */
function loadedWith(path: string): Set<string> {
  const seen = new Set([path])
  for (const file of seen) {
    const types = /^(?:import|export) type\b[^;]*?['"][^'"]+['"]/gm
    const text = readFileSync(file, 'utf8').replace(types, '')
    for (const [, name = ''] of text.matchAll(
      /^(?:import|export|\} from)\b[^'"();]*?['"]([^'"]+)['"]/gm,
    )) {
      if (name.startsWith('.')) seen.add(resolve(dirname(file), name.replace(/\.js$/, '.ts')))
    }
  }
  return seen
}

test('the command line starts without the kernel', () => {
  const loaded = [...loadedWith(join(SRC, 'cli/main.ts'))].map((path) => relative(SRC, path))
  const heavy = loaded.filter((path) => /^(kernel|machine|cell|explore|designs)\//.test(path))
  assert.deepEqual(heavy, [])
  assert.ok(loaded.includes(join('app/host', 'package.ts')))
})

test('a design can replace any kernel function: each is exported', () => {
  const hidden: string[] = []
  for (const folder of ['kernel', 'user', 'designs']) {
    for (const path of sources(join(SRC, folder))) {
      const names = readFileSync(path, 'utf8').matchAll(/^const (\w+) = fn\(/gm)
      for (const [, name] of names) hidden.push(`${relative(ROOT, path)}: ${name}`)
    }
  }
  assert.deepEqual(hidden, [])
})
