/**
 * Builds the page: bundles it and its worker, and renders the documentation. The worker is made of
 * the lowered code before it is bundled for Node, the page of its sources.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { build } from 'esbuild'
import { Marked } from 'marked'
import ts from 'typescript'

/** Pages of the documentation, in the order in which one would read them. */
const DOCS = [
  ...['litmus', 'designs', 'invariants', 'glossary', 'errno', 'calls', 'lock-order', 'review'],
  ...['transcripts', 'architecture', 'rooms', 'versions', 'lab', 'api'],
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

/** Texts of the calls in which a task can stand: the page asks for them when it gives a story away. */
const texts = []

/** The texts of the calls of a lowered function, in order. */
function textsIn(lowered) {
  const found = []
  const visit = (node, within) => {
    const name = ts.isPropertyAssignment(node) ? node.name.text : undefined
    if (within && name === 'text') found.push(node.initializer)
    else ts.forEachChild(node, (child) => visit(child, within || name === 'sites'))
  }
  visit(lowered, false)
  return found
}

/**
 * A module of lowered code without generators and plain functions: step functions are left, with
 * numbers for the texts of their calls.
 */
function steppedOnly(text) {
  const file = ts.createSourceFile(
    'lowered.js',
    text,
    ts.ScriptTarget.ES2022,
    true,
    ts.ScriptKind.JS,
  )
  const cuts = []
  const numbered = (node) => [node, `"#${texts.push(node.text) - 1}"`]
  const visit = (node) => {
    const isFn = ts.isCallExpression(node) && node.expression.getText(file) === 'fn'
    const [generator, lowered, straight] = isFn ? node.arguments : []
    if (lowered === undefined || ts.isIdentifier(lowered)) ts.forEachChild(node, visit)
    else {
      cuts.push([generator, 'undefined'], ...textsIn(lowered).map(numbered))
      cuts.push([straight, 'undefined'])
    }
  }
  visit(file)
  return cuts.reduceRight(
    (t, [cut, by]) => `${t.slice(0, cut.getStart(file))}${by}${t.slice(cut.getEnd())}`,
    text,
  )
}

const LOWERED = /^(kernel|user|designs|hosts)\/.*\.js$/

/** What is lowered, by path, each module read once. */
function lowered(folder) {
  const names = readdirSync(folder, { recursive: true }).map((n) => n.split(sep).join('/'))
  const modules = names.filter((n) => LOWERED.test(n)).sort()
  return new Map(
    modules.map((name) => {
      const path = join(folder, name)
      return [path, steppedOnly(readFileSync(path, 'utf8'))]
    }),
  )
}

/** Nothing in the page goes forward only, or runs a task that is alone. */
const lean = (modules) => ({
  name: 'step functions only',
  setup(bundle) {
    bundle.onLoad({ filter: /\.js$/ }, ({ path }) => {
      const contents = modules.get(path)
      return contents === undefined ? undefined : { contents, loader: 'js' }
    })
  },
})

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

/** Names of the scenarios that come with the page. */
function scenarioNames(root) {
  const areas = readdirSync(join(root, 'litmus'), { withFileTypes: true })
  const names = areas.flatMap(({ name }) =>
    readdirSync(join(root, 'litmus', name)).map((f) => `${name}/${f.replace(/\.litmus$/, '')}`),
  )
  return new Set(names)
}

/** A text as it travels in a link of the page. */
const packed = (text) => `${deflateRawSync(text).toString('base64url')}.`

/** A block of code that is a whole scenario can be tried. */
const MARKED = new Marked({
  gfm: true,
  renderer: {
    code({ text }) {
      const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
      const tried = /^litmus /.test(text)
        ? `<p class="try"><a href="#edit&amp;l=${packed(`${text}\n`)}">Try it in the editor</a></p>`
        : ''
      return `<pre tabindex="0"><code>${escaped}\n</code></pre>${tried}`
    },
  },
})

/**
 * Links between pages stay inside the page; scenarios of the project lead to the editor, examples of
 * designs to the workshop. Links to other sources have nowhere to go there.
 */
function rendered(root, name, text, scenarios) {
  const design = (path) => packed(readFileSync(join(root, path), 'utf8'))
  const html = MARKED.parse(text)
    .replace(/href="(?:\.\/)?([\w-]+)\.md(?:#[^"]*)?"/g, (link, page) =>
      DOCS.includes(page) ? `href="#docs/${page}"` : link,
    )
    .replace(
      /href="\.\.\/(examples\/[\w-]+\.ts)"/g,
      (_, path) => `href="#design&amp;d=${design(path)}"`,
    )
    .replace(/<code>([\w-]+\/[\w-]+)<\/code>/g, (code, of) =>
      scenarios.has(of) ? `<a href="#edit/${of}">${code}</a>` : code,
    )
    .replace(/<a href="(?!#|https?:)[^"]*">(.*?)<\/a>/g, '$1')
    .replace(/<img[^>]*>/g, '')
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
  const stepped = lean(lowered(join(dist, 'parts/src')))
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
    build({
      ...COMMON,
      ...modules,
      entryPoints: { worker: join(dist, 'parts/src/lab/worker.js') },
      format: 'iife',
      plugins: [stepped],
      outdir: out,
    }),
    build({
      ...COMMON,
      ...modules,
      stdin: { contents: workshopEntry(root), resolveDir: join(dist, 'parts/src') },
      format: 'iife',
      plugins: [stepped, COMPILER_BESIDE],
      // The C parser asks Node for files where there is Node, and is given its bytes here.
      external: ['module'],
      logOverride: { 'empty-import-meta': 'silent' },
      outfile: join(out, 'workshop.js'),
    }),
    build({ ...COMMON, ...modules, entryPoints: { style: join(page, 'style.css') }, outdir: out }),
  ])
  const scenarios = scenarioNames(root)
  const docs = DOCS.map((name) =>
    rendered(root, name, readFileSync(join(root, `docs/${name}.md`), 'utf8'), scenarios),
  )
  writeFileSync(join(out, 'docs.json'), JSON.stringify(docs))
  const sources = Object.fromEntries(SHOWN.flatMap((f) => sourcesIn(root, `src/${f}`)))
  writeFileSync(join(out, 'sources.json'), JSON.stringify(sources))
  writeFileSync(join(out, 'texts.json'), JSON.stringify(texts))
}
