/**
 * Builds the page: bundles it and its worker, and renders the documentation. The worker is made of
 * the lowered code in dist/, the page of its sources.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { marked } from 'marked'

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
      entryPoints: { worker: join(dist, 'src/lab/worker.js') },
      format: 'iife',
      outdir: out,
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
