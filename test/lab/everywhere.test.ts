import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { complaintsOf, launch, noBrowser, PATIENCE, type Served, serve } from './browser.js'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TOUCH = 'migration/guest-touch-vs-compaction'

/** The screens that have all the colours. */
const DARK = ['story', 'editor', 'matrix']

/** By name, a hash and what is there when the screen is. */
type Screens = Readonly<Record<string, readonly [string, string]>>

describe('every screen', { skip: noBrowser }, () => {
  let served: Served
  let browser: Browser
  let page: Page
  let screens: Screens
  const asked: string[] = []
  let complaints: string[]

  before(async () => {
    served = await serve({}, [TOUCH])
    const { cells } = served.verdicts.now()
    const token = cells.find((c) => c.design === 'v10')?.findings[0]?.token
    screens = {
      matrix: ['#matrix', 'td a'],
      story: [`#${token}`, '.hindsight'],
      compare: [`#${token}&on=upm-aops`, '.parting'],
      editor: ['#edit', '.cm-content'],
      tour: ['#tour', '.tour li'],
      learn: ['#learn', '.docs li'],
      page: ['#docs/litmus', '.prose'],
    }
    browser = await launch()
    page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage()
    page.setDefaultTimeout(PATIENCE)
    complaints = complaintsOf(page)
    page.on('request', (r) => asked.push(r.url()))
    await page.goto(served.url)
    await page.evaluate(AXE)
  })
  after(async () => {
    await browser?.close()
    served?.close()
  })

  /** The hash changes, the page stays. */
  async function show(name: string): Promise<void> {
    const [hash, there] = screens[name] as readonly [string, string]
    await page.evaluate(`location.hash = ${JSON.stringify(hash)}`)
    await page.waitForSelector(there)
  }

  async function violations(rules?: readonly string[]): Promise<string[]> {
    const options = rules === undefined ? {} : { runOnly: { type: 'rule', values: rules } }
    const found = (await page.evaluate(
      `axe.run(document, ${JSON.stringify(options)}).then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')))`,
    )) as string[]
    return found
  }

  test('can be used with a screen reader, and read in light and dark', async () => {
    const all: string[] = []
    for (const name of Object.keys(screens)) {
      await show(name)
      await page.emulateMedia({ colorScheme: 'light' })
      all.push(...(await violations()).map((v) => `${name}: ${v}`))
      if (!DARK.includes(name)) continue
      await page.emulateMedia({ colorScheme: 'dark' })
      all.push(...(await violations(['color-contrast'])).map((v) => `${name}, dark: ${v}`))
    }
    assert.deepEqual(all, [])
  })

  test('fits a narrow window, and half of one', async () => {
    for (const width of [390, 640]) {
      await page.setViewportSize({ width, height: 844 })
      for (const name of Object.keys(screens)) {
        await show(name)
        const wide = await page.evaluate(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        )
        assert.ok(Number(wide) <= 0, `${name} at ${width}: ${wide} too wide`)
      }
    }
    await page.setViewportSize({ width: 1280, height: 900 })
  })

  test('can be reached by the keyboard: from the matrix to the end of a story', async () => {
    await show('matrix')
    await page.focus('input[type=search]')
    await page.keyboard.type('guest-touch-vs')
    let tabs = 0
    while (tabs++ < 12) {
      await page.keyboard.press('Tab')
      if (await page.evaluate("document.activeElement.closest('td.finding') !== null")) break
    }
    await page.keyboard.press('Enter')
    await page.waitForSelector('.answer')
    await page.keyboard.press('Home')
    assert.match((await page.textContent('.scrubber output')) ?? '', /^0 \//)
    await page.keyboard.press('n')
    assert.doesNotMatch((await page.textContent('.scrubber output')) ?? '', /^0 \//)
    assert.match((await page.textContent('[aria-live=polite]')) ?? '', /^step \d+: vcpu0 in /)
    await page.keyboard.press('End')
    const [at, of] = ((await page.textContent('.scrubber output')) ?? '').split(' / ')
    assert.equal(at, of)
  })

  test('works without the network once it is there, and asks nobody else', async () => {
    for (const name of Object.keys(screens)) await show(name)
    await page.context().setOffline(true)
    for (const name of Object.keys(screens)) await show(name)
    await page.context().setOffline(false)
    assert.deepEqual(
      asked.filter((u) => !u.startsWith(served.url) && !u.startsWith('data:')),
      [],
    )
    assert.deepEqual(complaints, [])
  })
})
