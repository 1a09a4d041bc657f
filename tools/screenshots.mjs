/**
 * Makes the pictures of docs/lab/ with the page as it was built, in a browser of this machine. Needs
 * the build. Areas may be named; else the whole matrix is checked first.
 */
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const OUT = join(ROOT, 'docs/lab')
const HARNESS = pathToFileURL(join(ROOT, 'dist/test/lab/browser.js')).href
const { launch, noBrowser, PATIENCE, serve } = await import(HARNESS)

if (noBrowser !== false) {
  process.stderr.write(`${noBrowser}\n`)
  process.exit(1)
}

const named = process.argv.slice(2)
const served = await serve({}, named.length > 0 ? named : undefined)
const { cells } = served.verdicts.now()
const tokenOf = (scenario, design) =>
  cells.find((c) => c.scenario === scenario && c.design === design).findings[0].token
const touch = tokenOf('migration/guest-touch-vs-compaction', 'v10')
const crash = tokenOf('memory-failure/mapped-restricted-page', 'upm-aops')
const PICTURES = [
  ['matrix', '#matrix', 'td a', 'light'],
  ['story', `#${touch}`, '.hindsight', 'light'],
  ['story-dark', `#${crash}`, '.hindsight', 'dark'],
  ['compare', `#${touch}&on=upm-aops`, '.parting', 'light'],
  ['editor', '#edit', '.cm-content', 'light'],
  ['tour', '#tour', '.tour a', 'light'],
]
mkdirSync(OUT, { recursive: true })
const browser = await launch()
for (const [name, hash, there, colorScheme] of PICTURES) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme })
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE)
  await page.goto(served.url + hash)
  await page.waitForSelector(there)
  if (name === 'matrix') await page.fill('input[type=search]', 'migration')
  if (name === 'editor') {
    await page.click('text=Check every interleaving')
    await page.waitForSelector('.result .word')
  }
  // What is drawn when everything has arrived: source, hindsight.
  await page.waitForTimeout(1000)
  await page.screenshot({ path: join(OUT, `${name}.png`) })
  await context.close()
}
await browser.close()
served.close()
