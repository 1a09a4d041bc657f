/**
 * Puts modules that are always needed together into one file: to find, read and link three hundred
 * small ones takes longer than to run what is in them (docs/decisions/0015-latency.md).
 *
 * Every module keeps its place in dist/src, where tests, programs and a user's design import it. One
 * that lies in a bundle hands on what the bundle exports for it, so that there is one of each.
 */
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { build } from 'esbuild'

/** Files that run when they are imported: they are in no bundle. */
const PROGRAMS = ['cli/main.js', 'app/host/worker.js']

/**
 * What is loaded together: all that these modules and folders import, without what is in a bundle
 * before.
 */
const BUNDLES = {
  'start.js': ['cli/main.js', 'app/host/compiled.js'],
  'answers.js': ['cli/list.js', 'cli/explain.js'],
  'commands.js': ['cli/program.js'],
  'core.js': [
    ...['app/host/index.js', 'app/host/worker.js', 'cli/check.js', 'cli/replay.js'],
    'report/formats/',
  ],
}

/** What is compiled takes long: V8 is given what it made of it before (`app/host/compiled.ts`). */
const SCRIPT = 'core.js'

const OPTIONS = {
  bundle: true,
  write: false,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  charset: 'ascii',
  logLevel: 'error',
}

const slashed = (path) => path.split(sep).join('/')

/** How a file of the output names another; both as seen from its root. */
function specifier(from, to) {
  const path = slashed(relative(dirname(from), to))
  return path.startsWith('.') ? path : `./${path}`
}

/** A variable that changes is one only inside the bundle: a script hands on values. */
const variables = (text) => new Set([...text.matchAll(/^export let (\w+)/gm)].map(([, n]) => n))

/**
 * Modules by their place below `folder`: what each imports as soon as it is loaded, and exports. All
 * are bundled, for nothing: only so is it known what `export * from` comes to.
 */
async function readModules(folder) {
  const places = readdirSync(folder, { recursive: true }).map(slashed)
  const modules = new Map()
  for (const place of places.filter((p) => p.endsWith('.js')).sort()) {
    modules.set(place, { imports: new Set(), exports: [] })
  }
  const graph = {
    name: 'graph',
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ path, importer, kind }) => {
        const to = slashed(relative(folder, resolve(dirname(importer), path)))
        const from = slashed(relative(folder, importer))
        if (kind === 'import-statement') modules.get(from).imports.add(to)
        return { path: join(folder, to) }
      })
      onResolve({ filter: /^[^./]/ }, ({ path }) => ({ path, external: true }))
    },
  }
  const entryPoints = [...modules.keys()].map((place) => join(folder, place))
  const { metafile } = await build({
    ...OPTIONS,
    entryPoints,
    outdir: folder,
    outbase: folder,
    splitting: true,
    metafile: true,
    plugins: [graph],
  })
  for (const { entryPoint, exports } of Object.values(metafile.outputs)) {
    if (entryPoint === undefined) continue
    const place = slashed(relative(folder, resolve(entryPoint)))
    const changing = variables(readFileSync(join(folder, place), 'utf8'))
    modules.get(place).exports = exports.filter((name) => !changing.has(name))
  }
  return modules
}

/** Which bundle each module lies in, by place, in the order in which they are loaded. */
function bundled(modules) {
  const owner = new Map()
  const seen = new Set()
  const add = (place, bundle) => {
    if (seen.has(place)) return
    seen.add(place)
    for (const next of modules.get(place).imports) add(next, bundle)
    if (!PROGRAMS.includes(place)) owner.set(place, bundle)
  }
  for (const [bundle, roots] of Object.entries(BUNDLES)) {
    const isRoot = (place) =>
      roots.some((r) => place === r || (r.endsWith('/') && place.startsWith(r)))
    for (const place of [...modules.keys()].filter(isRoot)) add(place, bundle)
  }
  return owner
}

/** A name that a bundle exports for a name of one of its modules. */
const inBundle = (place, name) => `${place.replace(/\.js$/, '').replace(/\W/g, '_')}$${name}`

/** A line that hands on what a module exports: from its bundle, or into it. */
function handOn(place, { exports }, { from, into }) {
  const names = exports.map((name) => {
    const long = inBundle(place, name)
    return into === undefined ? `${long} as ${name}` : `${name} as ${long}`
  })
  return `export { ${names.join(', ')} } from ${JSON.stringify(from ?? into)};\n`
}

/** The same for a script: what it imports of its own modules, and what it is given of others. */
const takeFrom = (place, { exports }) =>
  `import { ${exports.map((name) => `${name} as ${inBundle(place, name)}`).join(', ')} } from "./${place}";\n`

function take(place, { exports }, from) {
  const names = exports.map((name) => `${inBundle(place, name)}: ${name}`)
  return [
    `const { ${names.join(', ')} } = require(${JSON.stringify(from)});`,
    `export { ${exports.join(', ')} };`,
    '',
  ].join('\n')
}

/**
 * A bundle as a script, and a module that runs it and exports what it does. The script is given the
 * modules that it needs, and a function to import others with.
 */
function asScript(bundle, { text, imports, exports }) {
  const file = bundle.replace(/\.js$/, '.script.js')
  const later = imports.filter(({ kind }) => kind === 'dynamic-import').length
  const parts = text.split(/\bimport\(/)
  if (parts.length <= later || text.includes('importLater'))
    throw new Error(`${bundle} imports in a way that is not seen here`)
  const script = `(function (require, importLater, here, given) {\n${parts.join('importLater(')}\n})\n`
  const needed = imports.filter(({ kind }) => kind !== 'dynamic-import').map((i) => i.path)
  const modules = [...new Set(needed)].map((path) => JSON.stringify(path))
  const hash = createHash('sha256').update(script).digest('hex').slice(0, 16)
  const lines = [
    ...modules.map((path, i) => `import * as m${i} from ${path};`),
    'import { app_host_compiled$runScript } from "./start.js";',
    `const modules = { ${modules.map((path, i) => `${path}: m${i}`).join(', ')} };`,
    `const script = { place: "./${file}", hash: "${hash}", home: import.meta.url };`,
    `export const { ${exports.join(', ')} } = app_host_compiled$runScript(script, modules, (path) => import(path));`,
    '',
  ]
  return { file, script, module: lines.join('\n') }
}

/** Write the modules of the folder `from`, and the bundles that they lie in, to the folder `to`. */
export async function bundle(from, to) {
  const modules = await readModules(from)
  const owner = bundled(modules)
  const put = (place, text) => {
    mkdirSync(dirname(join(to, place)), { recursive: true })
    writeFileSync(join(to, place), text)
  }
  for (const [place, module] of modules) {
    const bundle = owner.get(place)
    if (bundle === undefined) cpSync(join(from, place), join(to, place))
    else put(place, handOn(place, module, { from: specifier(place, bundle) }))
  }

  /** One file of the output: which modules it takes in, and how it names all others. */
  const takeIn = (output) => ({
    name: 'take-in',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /./, namespace: 'handed-on' }, ({ path }) => ({ path, external: true }))
      onResolve({ filter: /^[^./]/ }, ({ path }) => ({ path, external: true }))
      onResolve({ filter: /^\./ }, ({ path, resolveDir, kind }) => {
        const place = slashed(relative(from, resolve(resolveDir, path)))
        const bundle = owner.get(place)
        const alone = kind === 'dynamic-import' || bundle === undefined
        if (alone) return { path: specifier(output, place), external: true }
        if (bundle === output) return { path: join(from, place) }
        return { path: place, namespace: 'handed-on' }
      })
      onLoad({ filter: /./, namespace: 'handed-on' }, ({ path }) => {
        const bundle = specifier(output, owner.get(path))
        const module = modules.get(path)
        if (output === SCRIPT) return { contents: take(path, module, bundle) }
        return { contents: handOn(path, module, { from: bundle }) }
      })
      // A module knows its place, whichever file it is in.
      onLoad({ filter: /\.js$/ }, async ({ path }) => {
        const place = specifier(output, slashed(relative(from, path)))
        const base = output === SCRIPT ? 'here' : 'import.meta.url'
        const here = `new URL(${JSON.stringify(place)}, ${base}).href`
        const text = await readFile(path, 'utf8')
        return { contents: text.replaceAll('import.meta.url', here) }
      })
    },
  })
  const write = async (output, entry) => {
    const { outputFiles } = await build({ ...OPTIONS, ...entry, plugins: [takeIn(output)] })
    put(output, outputFiles[0].contents)
  }
  for (const output of Object.keys(BUNDLES)) {
    const own = [...modules].filter(([place]) => owner.get(place) === output)
    if (output !== SCRIPT) {
      const lines = own.map(([place, module]) => handOn(place, module, { into: `./${place}` }))
      await write(output, { stdin: { contents: lines.join(''), resolveDir: from } })
      continue
    }
    const exports = own.flatMap(([place, m]) => m.exports.map((name) => inBundle(place, name)))
    const contents = own.map(([place, module]) => takeFrom(place, module)).join('')
    const stdin = {
      contents: `${contents}given.exports = { ${exports.join(', ')} };\n`,
      resolveDir: from,
    }
    const { outputFiles, metafile } = await build({
      ...OPTIONS,
      ...{ stdin, plugins: [takeIn(output)], format: 'cjs', metafile: true },
    })
    const [{ imports }] = Object.values(metafile.outputs)
    const made = asScript(output, { text: outputFiles[0].text, imports, exports })
    put(made.file, made.script)
    put(output, made.module)
  }
  for (const place of PROGRAMS) await write(place, { entryPoints: [join(from, place)] })
}
