import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Page } from 'playwright-core'
import { writeSingle } from '../../src/lab/host/write.js'
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
        await page.keyboard.press('Home')
        await page.keyboard.press('j')
        await page.keyboard.press('j')
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

    test('is reached from a mail as it came, quoted and broken', async () => {
      const complaints = await lab.at('#matrix', async (page) => {
        const quoted = (lab.token('upm').match(/.{1,30}/g) ?? []).map((l) => `> > ${l}`).join('\n')
        await page.fill('textarea[name=token]', quoted)
        await page.press('textarea[name=token]', 'Enter')
        assert.match(await textOf(page, '.answer'), /stale-secondary-mapping/)
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
        const open = async (page: Page): Promise<void> => {
          assert.match(await textOf(page, '.answer'), /stale-secondary-mapping/)
        }
        const url = pathToFileURL(file).href
        assert.deepEqual(await lab.at(`#${lab.token('upm')}`, open, url), [])
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
  })
}
