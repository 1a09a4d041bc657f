/**
 * Builds dist/: type-checks everything, lowers the kernel code, emits JavaScript. The lowering is
 * TypeScript itself, so it is transpiled first.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
  .split(sep)
  .join('/')
const DIST = join(ROOT, 'dist')
const LOWER = join(ROOT, 'src/lower')

/** The lowering without its types, in a folder of its own. */
async function bootstrap() {
  const out = join(DIST, '.bootstrap')
  mkdirSync(out, { recursive: true })
  for (const name of readdirSync(LOWER).filter((n) => n.endsWith('.ts'))) {
    const { outputText } = ts.transpileModule(readFileSync(join(LOWER, name), 'utf8'), {
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
      },
    })
    writeFileSync(join(out, name.replace(/\.ts$/, '.js')), outputText)
  }
  const project = await import(pathToFileURL(join(out, 'project.js')).href)
  rmSync(out, { recursive: true })
  return project
}

rmSync(DIST, { recursive: true, force: true })
const { emitProject } = await bootstrap()
const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile)
const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
const { files, problems } = emitProject(ts.createProgram(fileNames, options), { root: ROOT })
for (const p of problems) {
  process.stderr.write(`${relative(ROOT, p.file)}:${p.line}:${p.column} ${p.message}\n`)
}
if (problems.length > 0) process.exit(1)

/** What tokens are bound to: the code that a verdict depends on. */
const hash = createHash('sha256')
for (const { source, text } of files) {
  const name = relative(ROOT, source)
  if (/^src\/(machine|kernel|user|calls|designs|hosts|sanitizers|cell|explore|litmus)\//.test(name))
    hash.update(`${name}\n${text}`)
}
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const code = hash.digest('hex').slice(0, 16)
writeFileSync(join(DIST, 'version.json'), `${JSON.stringify({ version, code })}\n`)

for (const { source, text } of files) {
  const out = join(DIST, relative(ROOT, source).replace(/\.ts$/, '.js'))
  mkdirSync(dirname(out), { recursive: true })
  writeFileSync(out, text)
}
