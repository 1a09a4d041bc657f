/** The page as files: a folder for any server, or one file that works without one. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Contents, INDEX, PAGE_POLICY } from './serve.js'
import { builtFile, builtFiles, dataOf, MATRICES, verdictFile } from './ship.js'
import { WORKSHOP_FILES } from './workshop.js'

/** Of a page that is one file: everything is in it, and nothing may be asked of anybody. */
const SINGLE_POLICY = [
  "default-src 'none'",
  "script-src 'unsafe-inline' 'unsafe-eval' blob:",
  "style-src 'unsafe-inline'",
  'worker-src blob:',
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

function withPolicy(html: string, policy: string): string {
  const meta = `<meta http-equiv="content-security-policy" content="${policy}">`
  return html.replace('<meta charset="utf-8">', `<meta charset="utf-8">\n${meta}`)
}

/** Is a file of the build only for a page that is one file? */
const forSingle = (name: string): boolean => name === 'single.js'

/** Write the page into a folder, for a server that knows nothing of it. */
export function writeFolder(folder: string, { open, verdicts }: Contents): void {
  mkdirSync(folder, { recursive: true })
  for (const name of builtFiles().filter((n) => !forSingle(n))) {
    writeFileSync(join(folder, name), builtFile(name))
  }
  for (const [name, make] of Object.entries(WORKSHOP_FILES)) {
    writeFileSync(join(folder, name), make())
  }
  writeFileSync(join(folder, 'index.html'), withPolicy(INDEX, PAGE_POLICY))
  writeFileSync(join(folder, 'data.json'), JSON.stringify(dataOf(open())))
  for (const id of MATRICES) {
    writeFileSync(join(folder, verdictFile(id)), JSON.stringify(verdicts(id)))
  }
}

/** Text that may stand in a script element. */
function inScript(text: string): string {
  return text.replaceAll('<!--', '\\u003c!--').replace(/<(\/?script)/gi, '\\u003c$1')
}

/** The same for code, where a `<` may be an operator only outside of strings. */
function codeInScript(text: string): string {
  return text.replace(/<(\/script|!--)/gi, '\\x3c$1').replace(/<script/gi, '\\x3cscript')
}

/** Write the page as one file. It has no workshop: the compiler is larger than all the rest. */
export function writeSingle(path: string, { open, verdicts }: Contents): void {
  const data = (id: string, text: string): string =>
    `<script type="application/json" id="${id}">${inScript(text)}</script>`
  const built = (name: string): string => builtFile(name).toString('utf8')
  const parts = [
    data('data.json', JSON.stringify(dataOf(open()))),
    ...MATRICES.map((id) => data(verdictFile(id), JSON.stringify(verdicts(id)))),
    data('docs.json', built('docs.json')),
    data('sources.json', built('sources.json')),
    data('texts.json', built('texts.json')),
    `<script type="text/plain" id="worker.js">${codeInScript(built('worker.js'))}</script>`,
    `<script>${codeInScript(built('single.js'))}</script>`,
  ]
  const html = INDEX.replace(
    '<link rel="stylesheet" href="style.css">',
    () => `<style>${built('style.css')}</style>`,
  )
    .replace('<link rel="preload" href="data.json" as="fetch" crossorigin>\n', '')
    .replace('<script type="module" src="app.js"></script>', () => parts.join('\n'))
  writeFileSync(path, withPolicy(html, SINGLE_POLICY))
}
