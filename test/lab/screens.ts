import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { packagedFile } from '../../src/app/host/package.js'
import { complaintsOf, type Lab, launch, noBrowser, PATIENCE, serve, textOf } from './browser.js'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** A screen's hash, and what is there when the screen is. */
type Screen = readonly [hash: string, there: string]

const TOO_WIDE = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'

export function testScreens(lab: Lab): void {
  describe('every screen', { skip: noBrowser }, () => {
    let page: Page
    let screens: Readonly<Record<string, Screen>>
    const asked: string[] = []
    let complaints: string[]

    before(async () => {
      const token = lab.token('v10')
      screens = {
        matrix: ['#matrix', 'td a'],
        hosts: ['#matrix/snp', 'th[scope=row]'],
        story: [`#${token}`, '.hindsight'],
        compare: [`#${token}&on=upm-aops`, '.parting'],
        refusal: ['#nonsense', '.page [role=alert]'],
        editor: ['#edit', '.cm-content'],
        design: ['#design', '.cm-content'],
        tour: ['#tour', '.tour li'],
        learn: ['#learn', '.docs li'],
        page: ['#docs/litmus', '.prose abbr'],
        glossary: ['#glossary/gfn', '.terms .wanted'],
        campaign: ['#campaign', '.facts'],
      }
      const viewport = { width: 1280, height: 900 }
      page = (await lab.browser?.newPage({ viewport })) as Page
      page.setDefaultTimeout(PATIENCE)
      complaints = complaintsOf(page)
      page.on('request', (r) => asked.push(r.url()))
      lab.served.opening = { campaign: true }
      await page.goto(lab.url)
      await page.evaluate(AXE)
      lab.served.opening = {}
    })
    after(() => page?.close())

    /** The hash changes, the page stays. */
    async function show(name: string): Promise<void> {
      const [hash, there] = screens[name] as Screen
      await page.evaluate(`location.hash = ${JSON.stringify(hash)}`)
      await page.waitForSelector(there)
    }

    async function violations(rules?: readonly string[]): Promise<string[]> {
      const options = rules === undefined ? {} : { runOnly: { type: 'rule', values: rules } }
      return (await page.evaluate(
        `axe.run(document, ${JSON.stringify(options)}).then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')))`,
      )) as string[]
    }

    test('can be used with a screen reader, and read in light and dark', async () => {
      const all: string[] = []
      for (const width of [1280, 390]) {
        await page.setViewportSize({ width, height: 900 })
        for (const name of Object.keys(screens)) {
          await show(name)
          const found = (v: string): number => all.push(`${name} at ${width}: ${v}`)
          await page.emulateMedia({ colorScheme: 'light' })
          for (const v of await violations()) found(v)
          // Nothing but colours is another in the dark.
          await page.emulateMedia({ colorScheme: 'dark' })
          for (const v of await violations(['color-contrast'])) found(`dark: ${v}`)
        }
      }
      await page.emulateMedia({ colorScheme: 'light' })
      await page.setViewportSize({ width: 1280, height: 900 })
      assert.deepEqual(all, [])
    })

    test('says what the words of the field mean, on hover and in the glossary', async () => {
      for (const name of ['matrix', 'story', 'tour', 'page']) {
        await show(name)
        const meaning = await page.getAttribute('main .term', 'title')
        assert.ok((meaning ?? '').length > 20, name)
      }
      await show('story')
      const [hover] = await page.locator('.map .guest .title title').allTextContents()
      assert.match(hover ?? '', /^gfn: Guest frame number/)
      await page.click('.legend .term:text-is("folio")')
      assert.match(await textOf(page, '.terms .wanted'), /^folio/)
      await show('editor')
      await page.hover('.cm-line:has-text("kvm_create_vm") >> text=kvm_create_vm')
      assert.match(await textOf(page, '.explained'), /^kvm_create_vm\(/)
    })

    test('fits a narrow window, half of one, and paper', async () => {
      for (const [width, media] of [
        [390, 'screen'],
        [640, 'screen'],
        [720, 'print'],
      ] as const) {
        await page.setViewportSize({ width, height: 844 })
        await page.emulateMedia({ media })
        for (const name of Object.keys(screens)) {
          await show(name)
          const wide = Number(await page.evaluate(TOO_WIDE))
          assert.ok(wide <= 0, `${name} at ${width}, ${media}: ${wide} too wide`)
        }
      }
      await show('story')
      assert.equal(await page.isVisible('.head'), false)
      assert.equal(await page.isVisible('.answer'), true)
      await page.emulateMedia({ media: 'screen' })
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
      assert.match(await textOf(page, '.scrubber output'), /^0 \//)
      await page.keyboard.press('n')
      assert.doesNotMatch(await textOf(page, '.scrubber output'), /^0 \//)
      assert.match(await textOf(page, '[aria-live=polite]'), /^step \d+: vcpu0 in /)
      await page.keyboard.press('End')
      const [at, of] = (await textOf(page, '.scrubber output')).split(' / ')
      assert.equal(at, of)
      assert.match(await textOf(page, '[aria-live=polite]'), /stale-secondary-mapping: /)
      await page.keyboard.press('?')
      assert.match(await textOf(page, '.help'), /point of no return/)
      assert.deepEqual(await violations(), [])
      await page.keyboard.press('Escape')
      assert.equal(await page.locator('.help').count(), 0)
    })

    test('tells of a campaign what ran, where, how long, what it found and what is left', async () => {
      await show('campaign')
      assert.match(await textOf(page, '[role=status]'), /^running · 2 of 5 done in 13 s · 3 left$/)
      const rows = (name: string) => page.locator(`[aria-label=${name}] tbody tr`)
      assert.match((await rows('workers').textContent()) ?? '', /^here:1219\.1size\/large on upm/)
      assert.equal(await rows('jobs').count(), 2)
      assert.match(
        (await rows('jobs').first().textContent()) ?? '',
        /^size\/small on upm6\.62here:1$/,
      )
      await page.check('text=only where something was found')
      assert.match((await rows('jobs').textContent()) ?? '', /stale-secondary-mapping$/)
      await page.click('.found a')
      await page.waitForSelector('.terms .wanted')
    })

    test('works without the network once it is there, and asks nobody else', async () => {
      for (const name of Object.keys(screens)) await show(name)
      await page.context().setOffline(true)
      // A campaign is somewhere else.
      for (const name of Object.keys(screens)) if (name !== 'campaign') await show(name)
      await page.context().setOffline(false)
      assert.deepEqual(
        asked.filter((u) => !u.startsWith(lab.url) && !u.startsWith('data:')),
        [],
      )
      assert.deepEqual(complaints, [])
    })
  })

  describe('the pictures of the documentation', { skip: noBrowser }, () => {
    test('are made with LAB_PICTURES=1, and are there', async () => {
      if (process.env.LAB_PICTURES !== undefined) await makePictures()
      for (const name of Object.keys(PICTURES)) {
        const path = join(FOLDER, `${name}.png`)
        assert.ok(existsSync(path), path)
        const png = readFileSync(path)
        const size = { width: png.readUInt32BE(16), height: png.readUInt32BE(20) }
        assert.deepEqual(size, SIZE, path)
      }
    })
  })
}

const FOLDER = packagedFile('docs/lab')
const SIZE = { width: 1280, height: 860 }

interface Picture {
  readonly hash: string
  /** What is there when the picture can be taken. */
  readonly there: string
  readonly dark?: boolean
  readonly act?: (page: Page) => Promise<void>
}

const touch = { scenario: 'migration/guest-touch-vs-compaction', design: 'v10' }
const crash = { scenario: 'memory-failure/mapped-restricted-page', design: 'upm-aops' }

/** A cell in a hash stands for the token of its first finding. */
const cellIn = ({ scenario, design }: typeof touch): string => `<${scenario} ${design}>`

const PICTURES: Readonly<Record<string, Picture>> = {
  matrix: {
    hash: '#matrix',
    there: 'td a',
    act: (page) => page.fill('input[type=search]', 'migration'),
  },
  story: { hash: `#${cellIn(touch)}`, there: '.hindsight' },
  'story-dark': { hash: `#${cellIn(crash)}`, there: '.hindsight', dark: true },
  compare: {
    hash: `#${cellIn(touch)}&on=upm-aops`,
    there: '.parting',
    act: async (page) => void (await page.waitForSelector('.hindsight')),
  },
  editor: {
    hash: '#edit',
    there: '.cm-content',
    act: async (page) => {
      await page.click('text=Check every interleaving')
      await page.waitForSelector('.result .word')
    },
  },
  tour: { hash: '#tour', there: '.tour a' },
}

/** Areas of the scenarios that the pictures show. */
const AREAS = ['migration', 'memory-failure']

async function makePictures(): Promise<void> {
  const served = await serve(AREAS)
  const { cells } = served.verdicts.now()
  const tokenOf = (_: string, scenario: string, design: string): string =>
    cells.find((c) => c.scenario === scenario && c.design === design)?.findings[0]?.token ?? ''
  mkdirSync(FOLDER, { recursive: true })
  const browser = await launch()
  for (const [name, { hash, there, dark, act }] of Object.entries(PICTURES)) {
    const colorScheme = dark === true ? 'dark' : 'light'
    const page = await browser.newPage({ viewport: SIZE, colorScheme })
    page.setDefaultTimeout(PATIENCE)
    await page.goto(served.url + hash.replace(/<(\S+) (\S+)>/, tokenOf))
    await page.waitForSelector(there)
    await act?.(page)
    // What is drawn when everything has arrived: the source of the step.
    if (there === '.hindsight') await page.waitForSelector('.stack pre')
    await page.screenshot({ path: join(FOLDER, `${name}.png`) })
    await page.close()
  }
  await browser.close()
  served.close()
}
