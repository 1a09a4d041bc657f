/**
 * Builds the page: bundles it and its worker, and renders the documentation. The worker is made of
 * the lowered code before it is bundled for Node, the page of its sources.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { marked } from 'marked'
import ts from 'typescript'

/** Pages of the documentation, in the order in which one would read them. */
const DOCS = [
  ...['litmus', 'designs', 'invariants', 'glossary', 'errno', 'calls', 'lock-order', 'review'],
  ...['transcripts', 'architecture', 'lab', 'api'],
]

/** Sources that a stack may name. */
const SHOWN = ['kernel', 'designs', 'hosts', 'user', 'machine']

const COMMON = {
  bundle: true,
  minify: true,
  platform: 'browser',
  target: 'es2022',
  legalComments: 'none',
  logLevel: 'error',
  write: true,
  jsx: 'automatic',
  jsxImportSource: 'preact',
}

/** A module of lowered code without the plain functions, which are for a task that is alone. */
function withoutStraight(text) {
  const file = ts.createSourceFile(
    'lowered.js',
    text,
    ts.ScriptTarget.ES2022,
    false,
    ts.ScriptKind.JS,
  )
  const cuts = []
  const visit = (node) => {
    const isFn = ts.isCallExpression(node) && node.expression.getText(file) === 'fn'
    const straight = isFn && node.arguments.length === 5 ? node.arguments[2] : undefined
    if (straight !== undefined) cuts.push([straight.getStart(file), straight.getEnd()])
    else ts.forEachChild(node, visit)
  }
  visit(file)
  return cuts.reduceRight((t, [from, to]) => `${t.slice(0, from)}undefined${t.slice(to)}`, text)
}

/** Nothing in the page runs a task alone. */
const LEAN = {
  name: 'without plain functions',
  setup(bundle) {
    bundle.onLoad(
      { filter: /[/\\]src[/\\](kernel|user|designs|hosts)[/\\].*\.js$/ },
      ({ path }) => ({
        contents: withoutStraight(readFileSync(path, 'utf8')),
        loader: 'js',
      }),
    )
  },
}

/** The first worker has no hosts: they are a tenth of it, and few ask for them. */
const WITHOUT_HOSTS = {
  name: 'without hosts',
  setup(bundle) {
    bundle.onLoad({ filter: /[/\\]src[/\\]hosts[/\\]all\.js$/ }, () => ({
      contents: 'export const HOSTS = []',
    }))
  },
}

/** The compiler is a file of its own, which the workshop loads first. */
const COMPILER_BESIDE = {
  name: 'compiler beside',
  setup(bundle) {
    bundle.onResolve({ filter: /^typescript$/ }, ({ path }) => ({ path, namespace: 'beside' }))
    bundle.onLoad({ filter: /./, namespace: 'beside' }, () => ({
      contents: "importScripts('typescript.js'); module.exports = globalThis.ts",
    }))
  },
}

/** The workshop has every module that a design may import, under the name by which it does. */
function workshopEntry(root) {
  const modules = SHOWN.flatMap((f) => sourcesIn(root, `src/${f}`)).map(([name]) =>
    name.replace(/^src\/(.*)\.ts$/, '$1'),
  )
  const imports = modules.map((m, i) => `import * as m${i} from './${m}.js'`)
  const table = modules.map((m, i) => `${JSON.stringify(m)}: m${i}`)
  const start = "import { startWorkshop } from './lab/workshop/worker.js'"
  return [...imports, start, `startWorkshop({ ${table.join(', ')} })`].join('\n')
}

function sourcesIn(root, folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((e) => {
    const name = `${folder}/${e.name}`
    if (e.isDirectory()) return sourcesIn(root, name)
    return name.endsWith('.ts') ? [[name, readFileSync(join(root, name), 'utf8')]] : []
  })
}

/** Links between pages stay inside the page; links to the sources have nowhere to go there. */
function rendered(name, text) {
  const html = marked
    .parse(text, { gfm: true })
    .replace(/href="(?:\.\/)?([\w-]+)\.md(?:#[^"]*)?"/g, 'href="#docs/$1"')
    .replace(/<a href="(?!#|https?:)[^"]*">(.*?)<\/a>/g, '$1')
    .replace(/<img[^>]*>/g, '')
    .replace(/<pre>/g, '<pre tabindex="0">')
    .replace(/<table>/g, '<table tabindex="0">')
  const title = /^# (.*)$/m.exec(text)?.[1] ?? name
  return { name, title, html }
}

/** Build the page into `<dist>/lab`. */
export async function buildLab(root, dist) {
  const out = join(dist, 'lab')
  mkdirSync(out, { recursive: true })
  const page = join(root, 'src/lab/page')
  const entry = join(page, 'app.tsx')
  const modules = { nodePaths: [join(root, 'node_modules')], absWorkingDir: root }
  const tsconfig = join(page, 'tsconfig.json')
  const worker = (name, plugins) =>
    build({
      ...COMMON,
      ...modules,
      entryPoints: { [name]: join(dist, 'parts/src/lab/worker.js') },
      format: 'iife',
      plugins,
      outdir: out,
    })
  await Promise.all([
    build({
      ...COMMON,
      ...modules,
      tsconfig,
      entryPoints: { app: entry },
      format: 'esm',
      splitting: true,
      chunkNames: '[name]-[hash]',
      outdir: out,
    }),
    // For one file, without chunks that would have to be fetched.
    build({
      ...COMMON,
      ...modules,
      tsconfig,
      entryPoints: { single: entry },
      format: 'iife',
      outdir: out,
    }),
    worker('worker', [WITHOUT_HOSTS, LEAN]),
    worker('worker-hosts', [LEAN]),
    build({
      ...COMMON,
      ...modules,
      stdin: { contents: workshopEntry(root), resolveDir: join(dist, 'parts/src') },
      format: 'iife',
      plugins: [LEAN, COMPILER_BESIDE],
      outfile: join(out, 'workshop.js'),
    }),
    build({ ...COMMON, ...modules, entryPoints: { style: join(page, 'style.css') }, outdir: out }),
  ])
  const docs = DOCS.map((name) =>
    rendered(name, readFileSync(join(root, `docs/${name}.md`), 'utf8')),
  )
  writeFileSync(join(out, 'docs.json'), JSON.stringify(docs))
  const sources = Object.fromEntries(SHOWN.flatMap((f) => sourcesIn(root, `src/${f}`)))
  writeFileSync(join(out, 'sources.json'), JSON.stringify(sources))
}
