import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Lab, noBrowser, textOf } from './browser.js'

/** A patch as an answer quotes it. */
const QUOTED = `--- a/mm/memory-failure.c
+++ b/mm/memory-failure.c
@@ -40,6 +40,7 @@ static int me_pagecache_clean(struct page_state *ps, struct page *p)
 	}

 	pins = shmem_mapping(mapping);
+	folio_get(p);
 	res = truncate_error_page(p, page_to_pfn(p), mapping);
 	if (has_extra_refcount(ps, p, pins))
 		res = MF_FAILED;
`.replace(/^/gm, '> ')

const ANSWER = `Subject: Re: [PATCH] keep it\n\n${QUOTED}`

export function testEditor(lab: Lab): void {
  describe('the editor', { skip: noBrowser }, () => {
    test('has a mistake on its line, and sends a scenario along in its link', async () => {
      const complaints = await lab.at('#edit', async (page) => {
        await page.click('.cm-content')
        await page.keyboard.press('Control+End')
        await page.keyboard.type('\nnonsense')
        await page.waitForSelector('.cm-lint-marker-error')
        for (const _ of '\nnonsense') await page.keyboard.press('Backspace')
        await page.waitForSelector('.cm-lint-marker-error', { state: 'detached' })
        await page.keyboard.press('Control+Home')
        await page.keyboard.type('# mine\n')
        await page.click('text=Check every interleaving')
        await page.waitForSelector('.result .word')
        const link = await page.getAttribute('.findings a', 'href')
        const fresh = await lab.at(link ?? '', async (other) => {
          assert.match(await textOf(other, '.answer'), /stale-secondary-mapping/)
          assert.equal(await other.locator('.verdict [role=alert]').count(), 0)
        })
        assert.deepEqual(fresh, [])
      })
      assert.deepEqual(complaints, [])
    })

    test('shows a file that is written again, and keeps what was changed here', async () => {
      const { served } = lab
      const saved = (name: string): void => {
        served.opening = { text: `litmus own/${name}\n"?"\n`, live: true }
      }
      saved('one')
      const complaints = await lab.at('#edit', async (page) => {
        await page.waitForSelector('.cm-line:has-text("own/one")')
        const heard = page.waitForRequest((r) => r.url().endsWith('/changes'))
        await page.reload()
        await heard
        await page.waitForSelector('.cm-line:has-text("own/one")')
        saved('two')
        served.server.changed()
        await page.waitForSelector('.cm-line:has-text("own/two")')
        await page.click('.cm-content')
        await page.keyboard.type('# mine ')
        saved('three')
        served.server.changed()
        await page.click('text=Take the file’s text')
        await page.waitForSelector('.cm-line:has-text("own/three")')
      })
      served.opening = {}
      assert.deepEqual(complaints, [])
    })

    test('makes a design of a patch in a mail, and checks it', async () => {
      const complaints = await lab.at('#design', async (page) => {
        await page.click('summary')
        await page.fill('textarea[name=mail]', 'Hello,\nno patch.')
        await page.click('text=Make it a design')
        assert.match(await textOf(page, '.result .notice'), /patch/)
        await page.fill('textarea[name=mail]', ANSWER)
        await page.click('text=Make it a design')
        assert.match(await textOf(page, '.made li'), /^me_pagecache_clean: merged/)
        await page.waitForSelector('.cm-line:has-text("folioGet(p)")')
        await page.click('text=Compile and check')
        await page.waitForSelector('.result .word')
        assert.equal(await page.locator('.mistakes').count(), 0)
        await page.click('.result a[href*="&d="]')
        assert.match(await textOf(page, '.verdict .where'), /on review-keep-it/)
      })
      assert.deepEqual(complaints, [])
    })

    test('compiles a design, and runs none that came in a link without asking', async () => {
      const complaints = await lab.at('#design', async (page) => {
        await page.click('text=Compile and check')
        await page.waitForSelector('.result .word:text-is("clean")')
        await page.click('.outcomes a')
        assert.match(await textOf(page, '.verdict .where'), /on mine/)
        const link = new URL(page.url()).hash
        const fresh = await lab.at(link, async (other) => {
          assert.match(await textOf(other, '[role=alert]'), /Nothing of it has run/)
          await other.click('text=Compile and run it')
          assert.match(await textOf(other, '.verdict .where'), /on mine/)
        })
        assert.deepEqual(fresh, [])
        await page.goto(`${lab.url}#design`)
        await page.click('.cm-line:has-text("summary")')
        await page.keyboard.type('!')
        await page.click('text=Compile and check')
        assert.match(await textOf(page, '.mistakes'), /line 10/)
      })
      assert.deepEqual(complaints, [])
    })
  })
}
