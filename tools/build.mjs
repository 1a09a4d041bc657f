/**
 * Builds dist/: type-checks, lowers the kernel code, emits JavaScript and declarations, and bundles
 * what is loaded together. The lowering is TypeScript itself, so it is transpiled first.
 *
 * What has not changed since the last build, and does not depend on what has, is taken from there.
 * The new dist/ is made beside the old one and takes its place when it is whole: a mistake in a
 * source leaves the last good build as it was.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'
import { bundle } from './bundle.mjs'
import { hostWithInternals } from './internals.mjs'
import { buildLab } from './lab.mjs'
import { marksIn } from './marks.mjs'
import { reach } from './reach.mjs'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
  .split(sep)
  .join('/')
const DIST = `${ROOT}/dist`
const NEXT = `${ROOT}/dist.next`
const LAST = `${ROOT}/dist.last`
const LOWER = `${ROOT}/src/lower`
/** What the compiler remembers of a build, and what the lowering that made it was. */
const MEMORY = '.tsbuildinfo'
const MADE_BY = '.made-by'

/** Code that a verdict depends on: what tokens are bound to. */
const JUDGING = /^src\/(machine|kernel|user|calls|designs|hosts|sanitizers|cell|explore|litmus)\//

/** What makes kernel code of C, and compares it: all that these lead to decides what they find. */
const READING = ['src/patch/host/calibration.ts', 'src/patch/host/worker.ts']

/** The lowering without its types, in a folder of its own. */
async function bootstrap() {
  const out = `${NEXT}/.bootstrap`
  mkdirSync(out, { recursive: true })
  for (const name of readdirSync(LOWER).filter((n) => n.endsWith('.ts'))) {
    const { outputText } = ts.transpileModule(readFileSync(`${LOWER}/${name}`, 'utf8'), {
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
      },
    })
    writeFileSync(`${out}/${name.replace(/\.ts$/, '.js')}`, outputText)
  }
  const project = await import(pathToFileURL(`${out}/project.js`).href)
  rmSync(out, { recursive: true })
  return project
}

/** What decides how a source is translated, besides the source. */
function maker() {
  const hash = createHash('sha256').update(ts.version)
  const tools = readdirSync(LOWER).map((name) => `${LOWER}/${name}`)
  const own = ['internals.mjs', 'build.mjs'].map((name) => `${ROOT}/tools/${name}`)
  for (const path of [...tools, `${ROOT}/tsconfig.json`, ...own]) {
    hash.update(readFileSync(path))
  }
  return hash.digest('hex')
}

/** Path below the root, with forward slashes everywhere. */
const nameOf = (path) => relative(ROOT, path).split(sep).join('/')
/** Where the declarations of a source go, and where its JavaScript: of src/, what is bundled. */
const declared = (path) => `${NEXT}/${nameOf(path).replace(/\.ts$/, '.d.ts')}`
const emitted = (path) =>
  `${NEXT}/${nameOf(path).replace(/^src\//, 'parts/src/')}`.replace(/\.ts$/, '.js')

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

/**
 * Write `built-in.ts` of a folder: the list of the constants that its files export and that are of a
 * type, as `pattern` finds them in a source.
 */
function listExports(folder, type, home, pattern) {
  const found = readdirSync(`${ROOT}/${folder}`)
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .flatMap((name) => {
      const names = readFileSync(`${ROOT}/${folder}/${name}`, 'utf8').matchAll(pattern)
      return [...names].map(([, constant]) => ({ constant, from: name.replace(/\.ts$/, '.js') }))
    })
  const list = [
    `/** Each ${type} of this folder. Written by the build; not in the repository. */`,
    `import type { ${type} } from './${home}'`,
    ...found.map(({ constant, from }) => `import { ${constant} } from './${from}'`),
    '',
    `export const BUILT_IN: readonly ${type}[] = [`,
    ...found.map(({ constant }) => `  ${constant},`),
    ']',
    '',
  ].join('\n')
  const path = `${ROOT}/${folder}/built-in.ts`
  if (!existsSync(path) || readFileSync(path, 'utf8') !== list) writeFileSync(path, list)
}

/** Forget what was made of sources that are gone. */
function sweep(folder, kept) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) sweep(path, kept)
    else if (/\.(js|d\.ts)$/.test(entry.name) && !kept.has(path)) rmSync(path)
  }
}

listExports(
  'src/designs',
  'Design',
  'design.js',
  /^export const (\w+)(?:: Design)? = defineDesign\(/gm,
)
listExports('src/sanitizers', 'Sanitizer', 'sanitizer.js', /^export const (\w+): Sanitizer = /gm)
for (const path of [NEXT, LAST]) rmSync(path, { recursive: true, force: true })
const { emitProject } = await bootstrap()
const by = maker()
const old = existsSync(`${DIST}/${MADE_BY}`) ? readFileSync(`${DIST}/${MADE_BY}`, 'utf8') : ''
if (old === by) cpSync(DIST, NEXT, { recursive: true })

const { config } = ts.readConfigFile(`${ROOT}/tsconfig.json`, ts.sys.readFile)
const parsed = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
const options = {
  ...parsed.options,
  outDir: NEXT,
  emitDeclarationOnly: true,
  incremental: true,
  tsBuildInfoFile: `${NEXT}/${MEMORY}`,
}
const program = ts.createIncrementalProgram({
  rootNames: parsed.fileNames,
  options,
  host: hostWithInternals(options),
})
const { files, sources, problems } = emitProject(program, { root: ROOT }, write)
for (const p of problems) {
  process.stderr.write(`${relative(ROOT, p.file)}:${p.line}:${p.column} ${p.message}\n`)
}
if (problems.length > 0) {
  rmSync(NEXT, { recursive: true })
  process.exit(1)
}

for (const { source, text } of files) write(emitted(source), text)
sweep(NEXT, new Set(sources.flatMap((s) => [emitted(s), declared(s)])))
await bundle(`${NEXT}/parts/src`, `${NEXT}/src`)

/** A hash of what some sources have become. */
function hashOf(isWanted, made, begin = '') {
  const hash = createHash('sha256').update(begin)
  for (const source of sources) {
    const name = nameOf(source)
    if (!isWanted(name)) continue
    hash.update(name)
    for (const of of made) hash.update(`\n${readFileSync(of(source), 'utf8')}`)
  }
  return hash.digest('hex').slice(0, 16)
}
const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'))
const isJudging = (name) => JUDGING.test(name)
const code = hashOf(isJudging, [emitted])
// What is translated is compiled: which types there are, and the compiler, decide what is refused.
const readers = reach(ROOT, READING)
const isReading = (name) => isJudging(name) || readers.has(name)
const reading = `${code}-${hashOf(isReading, [emitted, declared], by)}`
write(`${NEXT}/version.json`, `${JSON.stringify({ version, code, reading })}\n`)

const built = (module) => import(pathToFileURL(`${NEXT}/src/${module}.js`).href)
const { harvest } = await built('patch/model/harvest')
write(`${NEXT}/dictionary.json`, JSON.stringify(harvest(program.getProgram(), ROOT)))
const { tables } = await built('cli/tables')
write(`${NEXT}/lists.json`, JSON.stringify(await tables(marksIn(program.getProgram(), ROOT))))
write(`${NEXT}/${MADE_BY}`, by)

rmSync(`${NEXT}/compiled`, { recursive: true, force: true })
for (const made of ['lab', 'compiled']) rmSync(`${NEXT}/${made}`, { recursive: true, force: true })
await buildLab(ROOT, NEXT)

if (existsSync(DIST)) renameSync(DIST, LAST)
renameSync(NEXT, DIST)
rmSync(LAST, { recursive: true, force: true })

// Where it will be run: V8 keeps the names of files with what it has compiled.
for (const when of ['soon', 'late']) {
  const { status } = spawnSync(process.execPath, [`${ROOT}/tools/compiled.mjs`, DIST, when], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) process.exit(1)
}
