import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Page } from 'playwright-core'
import { Verdicts } from '../../src/lab/host/ship.js'
import { writeSingle } from '../../src/lab/host/write.js'
import type { Trace } from '../../src/trace/events.js'
import { type Lab, noBrowser, textOf } from './browser.js'

/** Where the page is in a story: design beside, and step. */
async function placeOf(page: Page): Promise<readonly [string, string]> {
  await page.waitForSelector('.answer')
  const beside = (await page.locator('.designs [aria-pressed=true]').allTextContents()).join()
  return [beside, (await textOf(page, '.scrubber output')).split(' ')[0] ?? '']
}

export function testStory(lab: Lab): void {
  describe('a story', { skip: noBrowser }, () => {
    test('goes forward and back, and loses hope at the point of no return', async () => {
      const complaints = await lab.at(`#${lab.token('v10')}`, async (page) => {
        await page.waitForSelector('.hindsight')
        const map = page.locator('.map')
        assert.equal(await page.locator('.arrow.spte.stale').count(), 1)
        assert.match(await textOf(page, '.answer'), /stale-secondary-mapping/)
        await page.keyboard.press('Home')
        assert.match((await map.textContent()) ?? '', /SPTE none/)
        let steps = 0
        while (!/SPTE → pfn 0/.test((await map.textContent()) ?? '') && steps++ < 60) {
          await page.keyboard.press('j')
        }
        await page.keyboard.press('k')
        assert.match((await map.textContent()) ?? '', /SPTE none/)
        await page.keyboard.press('x')
        assert.match(await textOf(page, '.fate'), /can’t end well/)
        await page.keyboard.press('k')
        assert.match(await textOf(page, '.fate'), /can still end well/)
      })
      assert.deepEqual(complaints, [])
    })

    test('on another design parts where its effects do; Back, Forward and reload find it again', async () => {
      const token = lab.token('v10')
      const complaints = await lab.at(`#${token}&on=upm-aops`, async (page) => {
        const parting = await textOf(page, '.parting')
        const last = lab.cell('v10').findings.find((f) => f.token === token)?.steps
        assert.match(parting, new RegExp(`step ${last}, kcompactd`))
        assert.match(parting, /migrate\(fd, page=0\) = -EBUSY/)
        for (const key of ['Home', 'j', 'j']) await page.keyboard.press(key)
        assert.deepEqual(await placeOf(page), ['upm-aops', '2'])
        await page.reload()
        assert.deepEqual(await placeOf(page), ['upm-aops', '2'])
        await page.click('.designs button:text-is("upm")')
        await page.waitForSelector('.parting:has-text("do the same here")')
        assert.deepEqual(await placeOf(page), ['upm', '2'])
        await page.goBack()
        await page.waitForSelector('.parting:has-text("-EBUSY")')
        assert.deepEqual(await placeOf(page), ['upm-aops', '2'])
        await page.goForward()
        await page.waitForSelector('.parting:has-text("do the same here")')
        assert.deepEqual(await placeOf(page), ['upm', '2'])
        assert.ok(page.url().includes(token))
      })
      assert.deepEqual(complaints, [])
    })

    test('can be walked with the mouse alone', async () => {
      const complaints = await lab.at('#matrix', async (page) => {
        await page.click('td.finding a')
        await page.waitForSelector('.hindsight')
        const at = async (): Promise<string> => (await placeOf(page))[1]
        await page.click('button[aria-label=first]')
        assert.equal(await at(), '0')
        await page.click('button[aria-label="next change"]')
        assert.notEqual(await at(), '0')
        const row = page.locator('.lanes tbody tr:not(.lost)').nth(3)
        const step = await row.locator('.n').textContent()
        await row.locator('.changes').click()
        assert.equal(await at(), step)
        await page.click('.hindsight button')
        assert.match(await textOf(page, '.fate'), /can’t end well/)
        await page.click('.designs button >> nth=1')
        await page.waitForSelector('.parting')
        await page.click('.parting button')
        const parted = await textOf(page, '.parting button')
        assert.match(parted, new RegExp(`\\b${await at()}\\b`))
        await page.click('.designs [aria-pressed=true]')
        await page.waitForSelector('.crumbs button')
        await page.click('.crumbs button >> nth=0')
        assert.equal(await page.locator('.crumbs [aria-pressed=true]').count(), 1)
        await page.click('.brand')
        await page.waitForSelector('td.finding a')
      })
      assert.deepEqual(complaints, [])
    })

    test('is reached from a mail as it came, quoted and broken', async () => {
      const complaints = await lab.at('#matrix', async (page) => {
        const quoted = (lab.token('upm').match(/.{1,30}/g) ?? []).map((l) => `> > ${l}`).join('\n')
        await page.fill('textarea[name=token]', quoted)
        await page.press('textarea[name=token]', 'Enter')
        assert.match(await textOf(page, '.answer'), /stale-secondary-mapping/)
      })
      assert.deepEqual(complaints, [])
    })

    test('goes into a mail of at most 72 columns, a splat, JSON and a file for Perfetto', async () => {
      const token = lab.token('v10')
      const complaints = await lab.at(`#${token}`, async (page) => {
        await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
        await page.waitForSelector('.hindsight')
        const copied = async (what: string): Promise<string> => {
          await page.click(`.share button:has-text("${what}")`)
          await page.waitForSelector(`.share [role=status]:has-text("${what} copied")`)
          return String(await page.evaluate('navigator.clipboard.readText()'))
        }
        const saved = async (what: string): Promise<Record<string, unknown>> => {
          const heard = page.waitForEvent('download')
          await page.click(`.share button:text-is("${what}")`)
          return JSON.parse(readFileSync(await (await heard).path(), 'utf8'))
        }
        assert.match(await copied('splat'), /^BUG: |stale-secondary-mapping/m)
        const { trace, token: same } = await saved('JSON')
        assert.equal(same, token)
        assert.equal((trace as Trace).design, 'v10')
        assert.ok(((await saved('Perfetto')).traceEvents as unknown[]).length > 40)
        const letter = await copied('mail')
        const wide = letter.split('\n').filter((line) => line.length > 72)
        assert.deepEqual(wide, [])
        // An answer quotes it, and leads back here.
        const quoted = letter.replace(/^/gm, '> ')
        await page.goto(`${lab.url}#tour`)
        await page.fill('textarea[name=token]', quoted)
        await page.press('textarea[name=token]', 'Enter')
        assert.match(await textOf(page, '.answer'), /stale-secondary-mapping/)
      })
      assert.deepEqual(complaints, [])
    })

    test('has a badge on a frame that says whose it is for the hardware', async () => {
      const only = ['hosts/punch-of-a-mapped-page']
      const verdicts = new Verdicts(new AbortController().signal, only, 'snp')
      await verdicts.all()
      const [finding] = verdicts.now().cells.flatMap((c) => c.findings)
      const complaints = await lab.at(`#${finding?.token}`, async (page) => {
        await page.waitForSelector('.answer')
        const badges = new Set<string>()
        const last = Number((await textOf(page, '.scrubber output')).split(' / ')[1])
        for (let n = 0; n < last; n++) {
          const texts = await page.locator('.map .badge').allTextContents()
          for (const text of texts) badges.add(text)
          await page.keyboard.press('k')
        }
        assert.ok(
          [...badges].some((b) => /Guest-Valid, ASID 1, gfn 0x0/.test(b)),
          [...badges].join(),
        )
        assert.ok(
          [...badges].some((b) => /Hypervisor/.test(b)),
          [...badges].join(),
        )
      })
      assert.deepEqual(complaints, [])
    })

    test('is reached from the matrix, where a check in the browser says the same', async () => {
      const complaints = await lab.at('#matrix', async (page) => {
        await page.fill('input[type=search]', 'guest-touch-vs-compaction')
        await page.click('text=Check again here')
        await page.waitForSelector('text=6 the same in this browser')
        assert.equal(await page.locator('.again.differs').count(), 0)
        await page.click('td.finding a')
        await page.waitForSelector('h1:has-text("Can compaction move a page")')
      })
      assert.deepEqual(complaints, [])
    })

    test('needs no server when the page is one file', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'lab-'))
      const file = join(folder, 'lab.html')
      const { verdicts } = lab.served
      writeSingle(file, { open: () => ({}), verdicts: () => verdicts.now() })
      try {
        const asked: string[] = []
        const open = async (page: Page): Promise<void> => {
          await page.waitForSelector('.hindsight')
          assert.match(await textOf(page, '.answer'), /stale-secondary-mapping/)
          // All of it is there now: the rest is done without a network.
          await page.context().setOffline(true)
          page.on('request', (r) => asked.push(r.url()))
          await page.keyboard.press('1')
          await page.waitForSelector('.parting')
          await page.click('nav >> text=Editor')
          await page.click('text=Check every interleaving')
          await page.waitForSelector('.result .word')
          await page.click('nav >> text=Glossary')
          await page.waitForSelector('.terms')
        }
        const url = pathToFileURL(file).href
        assert.deepEqual(await lab.at(`#${lab.token('upm')}`, open, url), [])
        assert.deepEqual(
          asked.filter((u) => !/^(blob|data):/.test(u)),
          [],
        )
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
  })
}
