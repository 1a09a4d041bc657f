import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'
import { mayImport, ROOMS, roomOf } from './rooms.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const SRC = join(ROOT, 'src')

function sources(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((e) => {
    const path = join(dir, e.name)
    if (e.isDirectory()) return sources(path)
    return /\.tsx?$/.test(e.name) ? [path] : []
  })
}

/** A file's path below src/, with forward slashes. */
const nameOf = (path: string): string => relative(SRC, path).split(sep).join('/')

/** What a file imports, `import()` and types included. */
function importsOf(path: string): string[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(path, 'utf8'), true, true)
  return importedFiles.map((f) => f.fileName)
}

/** What is loaded with a file: no types, and nothing that is asked for later. */
function loadedWith(path: string): string[] {
  const file = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022)
  return file.statements.flatMap((s) => {
    const from =
      ts.isImportDeclaration(s) || ts.isExportDeclaration(s) ? s.moduleSpecifier : undefined
    if (from === undefined || !ts.isStringLiteral(from) || isOfTypes(s)) return []
    return [from.text]
  })
}

function isOfTypes(s: ts.Statement): boolean {
  if (ts.isExportDeclaration(s)) return s.isTypeOnly
  const clause = ts.isImportDeclaration(s) ? s.importClause : undefined
  if (clause === undefined) return false
  const names = clause.namedBindings
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  if (names === undefined || !ts.isNamedImports(names) || clause.name !== undefined) return false
  return names.elements.length > 0 && names.elements.every((e) => e.isTypeOnly)
}

/** The file that a relative import names. */
function target(path: string, specifier: string): string {
  const file = resolve(dirname(path), specifier.replace(/\.js$/, '.ts'))
  return existsSync(file) ? file : `${file}x`
}

test('imports go one way', () => {
  const wrong: string[] = []
  for (const path of sources(SRC)) {
    const from = roomOf(nameOf(path))
    for (const specifier of importsOf(path)) {
      if (!specifier.startsWith('.')) continue
      const to = roomOf(nameOf(target(path, specifier)))
      if (!mayImport(from, to)) {
        wrong.push(`${relative(ROOT, path)} imports ${specifier}`)
      }
    }
  }
  assert.deepEqual(wrong, [])
})

/** The build makes a script of most modules, and a script hands on values (`tools/bundle.mjs`). */
test('a variable that changes is the business of one room', () => {
  const changing = new Map<string, Set<string>>()
  for (const path of sources(SRC)) {
    const names = [...readFileSync(path, 'utf8').matchAll(/^export let (\w+)/gm)]
    if (names.length > 0) changing.set(path, new Set(names.map(([, name]) => name as string)))
  }
  assert.ok(changing.size > 0)
  const wrong: string[] = []
  for (const path of sources(SRC)) {
    const text = readFileSync(path, 'utf8')
    for (const [, kind, names, from] of text.matchAll(/^(im|ex)port ([^;]*?) from '(\..*?)'/gms)) {
      const to = target(path, from as string)
      if (kind === 'im' && roomOf(nameOf(path)) === roomOf(nameOf(to))) continue
      const words = new Set((names as string).match(/[\w*]+/g))
      const taken = [...(changing.get(to) ?? [])].filter((n) => words.has(n) || words.has('*'))
      for (const name of taken) wrong.push(`${nameOf(path)} takes ${name} from ${nameOf(to)}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('no files import each other in a circle, but where their room says why', () => {
  const circles: string[] = []
  const done = new Set<string>()
  const visit = (path: string, way: readonly string[]): void => {
    const seen = way.indexOf(path)
    if (seen >= 0) circles.push([...way.slice(seen), path].map(nameOf).join(' > '))
    if (seen >= 0 || done.has(path)) return
    for (const specifier of loadedWith(path).filter((n) => n.startsWith('.'))) {
      visit(target(path, specifier), [...way, path])
    }
    done.add(path)
  }
  for (const path of sources(SRC)) visit(path, [])
  const allowed = (circle: string): boolean =>
    circle.split(' > ').every((file) => roomOf(file).circles !== undefined)
  assert.deepEqual(
    circles.filter((c) => !allowed(c)),
    [],
  )
  const needed = new Set(circles.map((c) => roomOf(c.split(' > ')[0] ?? '').name))
  assert.deepEqual(
    ROOMS.filter((r) => r.circles !== undefined && !needed.has(r.name)).map((r) => r.name),
    [],
  )
})

test('a room with layers has each file in one, and imports go down', () => {
  const wrong: string[] = []
  for (const { name, layers } of ROOMS.filter((r) => r.layers !== undefined)) {
    const layerOf = (file: string): number =>
      layers?.findIndex((l) => l.files.includes(basename(file, '.ts'))) ?? -1
    for (const path of sources(join(SRC, name))) {
      const own = layerOf(path)
      if (own < 0) wrong.push(`${nameOf(path)} lies in no layer`)
      for (const specifier of importsOf(path).filter((s) => s.startsWith('.'))) {
        if (layerOf(target(path, specifier)) > own)
          wrong.push(`${nameOf(path)} imports ${specifier}`)
      }
    }
    const files = layers?.flatMap((l) => l.files) ?? []
    assert.equal(new Set(files).size, sources(join(SRC, name)).length)
  }
  assert.deepEqual(wrong, [])
})

/** Tests of the command line; what others need of it is no command, and lies elsewhere. */
const OF_COMMANDS = /^test\/(?:cli\/|architecture\/commands\.test\.ts$)/

test('only tests of the command line import it', () => {
  const importing = ['test', 'bench', 'mutants']
    .flatMap((folder) => sources(join(ROOT, folder)))
    .filter((path) => importsOf(path).some((s) => /(?:^|\/)src\/cli\//.test(s)))
    .map((path) => relative(ROOT, path).split(sep).join('/'))
  assert.ok(importing.length > 1)
  assert.deepEqual(
    importing.filter((path) => !OF_COMMANDS.test(path)),
    [],
  )
})

test('a room names only rooms', () => {
  const names = new Set(ROOMS.map((r) => r.name))
  assert.deepEqual(
    ROOMS.flatMap((r) => r.may).filter((name) => !names.has(name)),
    [],
  )
})

test('one place steps the machine for all others', () => {
  const stepping = ['src', 'test', 'bench', 'mutants']
    .flatMap((folder) => sources(join(ROOT, folder)))
    .filter((path) =>
      /\{[^}]*\bstep\b[^}]*\} from '[./\w]*\/machine\.js'/.test(readFileSync(path, 'utf8')),
    )
    .map((path) => relative(ROOT, path).split(sep).join('/'))
  // A set-up is a part of the boot; the tests of the machine are below what they would have to use.
  const own = stepping.filter((path) => !/^(src|test)\/machine\//.test(path))
  assert.deepEqual(own, ['src/cell/execution.ts'])
})

test('no two files of explore have one name', () => {
  const names = sources(join(SRC, 'explore')).map((path) => basename(path))
  assert.deepEqual(
    names.filter((n, i) => names.indexOf(n) !== i),
    [],
  )
})

test('no kernel code names a finding', () => {
  const naming = ['kernel', 'user', 'designs', 'hosts']
    .flatMap((folder) => sources(join(SRC, folder)))
    .filter((path) => /\b(?:KernelFault|remark)\(/.test(readFileSync(path, 'utf8')))
  assert.deepEqual(naming.map(nameOf), [])
})

test('a judge of all machines knows no host', () => {
  const judges = sources(join(SRC, 'sanitizers'))
  const knowing = judges.filter((path) => importsOf(path).some((s) => s.startsWith('../hosts/')))
  assert.ok(knowing.length > 0)
  for (const path of knowing) assert.match(readFileSync(path, 'utf8'), /^ {2}host: '/m, path)
})

test('the core does not know what it runs on', () => {
  const wrong: string[] = []
  for (const path of sources(SRC)) {
    const file = nameOf(path)
    const { node } = roomOf(file)
    if (node === true || node === file) continue
    for (const specifier of importsOf(path)) {
      if (specifier.startsWith('node:')) wrong.push(`${file} imports ${specifier}`)
    }
    const { browser } = roomOf(file)
    if (browser === true || browser === file) continue
    const code = readFileSync(path, 'utf8')
    if (/\b(Date\.now|Math\.random|performance\.now|process\.|new Date)\b/.test(code)) {
      wrong.push(`${file} uses a clock, randomness or the process`)
    }
  }
  assert.deepEqual(wrong, [])
})

/** What the scheduler asks of tasks without a handle: nobody hears that. */
const UNHEARD =
  /\b(?:stateOf|hasStarted|pendingOf|hasEnded|allEnded|canStep)\b[^}]*\} from '[./]*machine\/(?:task|machine)\.js'/

test('kernel code and sanitizers read memory through structs, so that every read is heard', () => {
  const wrong: string[] = []
  const heard = ROOMS.filter((r) => r.usesNull === true && r.name !== 'machine')
  for (const { name: folder } of heard) {
    for (const path of sources(join(SRC, folder))) {
      const code = readFileSync(path, 'utf8')
      // A picture is drawn when all is over: nobody remembers what it depends on.
      const unheard = folder !== 'picture' && UNHEARD.test(code)
      if (/\bmem\b.*machine\/arena/.test(code) || unheard) {
        wrong.push(relative(ROOT, path))
      }
    }
  }
  assert.deepEqual(wrong, [])
})

test('the kernel and the machine use null for NULL; other code says undefined', () => {
  const wrong: string[] = []
  // A browser's own calls say null too.
  const free = (path: string): boolean => {
    const { usesNull, browser } = roomOf(nameOf(path))
    return usesNull === true || browser === true
  }
  for (const path of sources(SRC).filter((p) => !free(p))) {
    const code = readFileSync(path, 'utf8').replace(
      /\/\*[\s\S]*?\*\/|\/\/.*|'[^'\n]*'|`[^`]*`/g,
      '',
    )
    if (/(===|!==|return|=)\s*null\b/.test(code)) wrong.push(relative(ROOT, path))
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
    for (const specifier of loadedWith(path)) {
      assert.notEqual(specifier, 'typescript', `${relative(ROOT, path)} is always loaded`)
      if (specifier.startsWith('.')) seen.add(target(path, specifier))
    }
  }
  assert.ok(seen.size > 50)
})

/** All files that are loaded with one. */
function allLoadedWith(path: string): Set<string> {
  const seen = new Set([path])
  for (const file of seen) {
    for (const name of loadedWith(file)) if (name.startsWith('.')) seen.add(target(file, name))
  }
  return seen
}

/** Numbers alone: nothing comes with them. */
const NUMBERS = ['kernel/include/errno.ts', 'kernel/include/uapi.ts'].map((p) => join(p))

test('the command line starts, lists and explains without the kernel', () => {
  for (const start of ['main', 'program', 'list', 'explain']) {
    const loaded = [...allLoadedWith(join(SRC, `cli/${start}.ts`))].map((p) => relative(SRC, p))
    const heavy = loaded.filter((path) => /^(kernel|machine|cell|explore|designs)\b/.test(path))
    assert.deepEqual(
      heavy.filter((path) => !NUMBERS.includes(path)),
      [],
      start,
    )
    assert.ok(loaded.includes(join('app/host', 'package.ts')))
  }
})

test('a design can replace any kernel function: each is exported', () => {
  const hidden: string[] = []
  for (const folder of ['kernel', 'hosts', 'user', 'designs']) {
    for (const path of sources(join(SRC, folder))) {
      const names = readFileSync(path, 'utf8').matchAll(/^const (\w+) = fn\(/gm)
      for (const [, name] of names) hidden.push(`${relative(ROOT, path)}: ${name}`)
    }
  }
  assert.deepEqual(hidden, [])
})
