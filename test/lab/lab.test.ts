import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import type { Browser, Page } from 'playwright-core'
import { decodeToken, encodeToken } from '../../src/app/token.js'
import { builtFile } from '../../src/lab/host/ship.js'
import { writeSingle } from '../../src/lab/host/write.js'
import type { CellVerdict } from '../../src/lab/protocol.js'
import { complaintsOf, launch, noBrowser, PATIENCE, type Served, serve } from './browser.js'

const TOUCH = 'migration/guest-touch-vs-compaction'

let served: Served
let browser: Browser | undefined
let cells: readonly CellVerdict[]

before(async () => {
  served = await serve({}, [TOUCH])
  cells = served.verdicts.now().cells
  if (noBrowser === false) browser = await launch()
})
after(async () => {
  await browser?.close()
  served.close()
})

const cellOn = (design: string): CellVerdict =>
  cells.find((c) => c.design === design) as CellVerdict
const tokenOn = (design: string): string =>
  cellOn(design).findings.find((f) => f.id === 'stale-secondary-mapping')?.token as string

/** Ask the server as nothing but a program would. */
function ask(path: string, headers: Record<string, string> = {}, method = 'GET') {
  const { port } = new URL(served.url)
  return new Promise<{ code: number; headers: NodeJS.Dict<string | string[]> }>(
    (resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
        response.resume()
        resolve({ code: response.statusCode ?? 0, headers: response.headers })
      })
      asked.on('error', reject)
      asked.end()
    },
  )
}

describe('the server', () => {
  test('answers to its own name only', async () => {
    assert.equal((await ask('/')).code, 200)
    assert.equal((await ask('/', { host: 'example.org' })).code, 403)
    assert.equal((await ask('/', {}, 'POST')).code, 405)
  })
  test('has what the build made, and no other file', async () => {
    for (const path of [
      '/../package.json',
      '/..%2fpackage.json',
      '/%2e%2e/package.json',
      '//etc/passwd',
    ]) {
      assert.equal((await ask(path)).code, 404, path)
    }
  })
  test('lets only the worker compile code', async () => {
    const policy = async (path: string): Promise<string> =>
      String((await ask(path)).headers['content-security-policy'])
    assert.match(await policy('/worker.js'), /'unsafe-eval'/)
    for (const path of ['/', '/app.js', '/data.json']) {
      assert.doesNotMatch(await policy(path), /unsafe/)
    }
  })
  test('is small: page, app and worker are at most 250 kB', () => {
    const bytes = ['app.js', 'style.css', 'worker.js'].map((n) => gzipSync(builtFile(n)).length)
    assert.ok(bytes.reduce((a, b) => a + b, 0) <= 250_000, String(bytes))
  })
})

describe('the page', { skip: noBrowser }, () => {
  /** Open a hash in a fresh profile, and close it again. */
  async function at(
    hash: string,
    act: (page: Page) => Promise<void>,
    url = served.url,
  ): Promise<void> {
    const context = await (browser as Browser).newContext({
      viewport: { width: 1400, height: 1000 },
    })
    const page = await context.newPage()
    page.setDefaultTimeout(PATIENCE)
    const complaints = complaintsOf(page)
    try {
      await page.goto(`${url}${hash}`)
      await act(page)
      assert.deepEqual(complaints, [])
    } finally {
      await context.close()
    }
  }

  test('a cell of the matrix leads to its story, and a check here says the same', async () => {
    await at('#matrix', async (page) => {
      await page.fill('input[type=search]', 'guest-touch-vs-compaction')
      await page.click('text=Check again here')
      await page.waitForSelector('text=6 the same in this browser')
      assert.equal(await page.locator('.again.differs').count(), 0)
      await page.click('td.finding a')
      await page.waitForSelector('h1:has-text("Can compaction move a page")')
    })
  })

  test('a story goes forward and back, and loses hope at the point of no return', async () => {
    await at(`#${tokenOn('v10')}`, async (page) => {
      await page.waitForSelector('.hindsight')
      const map = page.locator('.map')
      assert.equal(await page.locator('.arrow.spte.stale').count(), 1)
      assert.match((await page.textContent('.answer')) ?? '', /stale-secondary-mapping/)
      await page.keyboard.press('Home')
      assert.match((await map.textContent()) ?? '', /SPTE none/)
      let steps = 0
      while (!/SPTE → pfn 0/.test((await map.textContent()) ?? '') && steps++ < 60) {
        await page.keyboard.press('j')
      }
      await page.keyboard.press('k')
      assert.match((await map.textContent()) ?? '', /SPTE none/)
      await page.keyboard.press('x')
      assert.match((await page.textContent('.fate')) ?? '', /can’t end well/)
      await page.keyboard.press('k')
      assert.match((await page.textContent('.fate')) ?? '', /can still end well/)
    })
  })

  test('another design parts where its effects do, and ends in its own way', async () => {
    await at(`#${tokenOn('v10')}&on=upm-aops`, async (page) => {
      const parting = (await page.textContent('.parting')) ?? ''
      const last = cellOn('v10').findings.find((f) => f.id === 'stale-secondary-mapping')?.steps
      assert.match(parting, new RegExp(`step ${last}, kcompactd`))
      assert.match(parting, /migrate\(fd, page=0\) = -EBUSY/)
      await page.reload()
      await page.waitForSelector('.parting')
      assert.match(page.url(), /on=upm-aops/)
    })
  })

  test('a link that can’t be followed says why, and runs nothing', async () => {
    const token = tokenOn('upm')
    const foreign = encodeToken({ ...decodeToken(token), scenario: 'no-such' })
    const old = encodeToken({ ...decodeToken(token), hash: 'acd255da' })
    const hostile = [
      '<img src=x onerror=alert(1)>',
      'javascript:alert(1)',
      '"><script>alert(1)</script>',
    ]
    await at('#matrix', async (page) => {
      page.on('dialog', () => assert.fail('a link has run a script'))
      const says = async (hash: string, what: RegExp): Promise<void> => {
        await page.goto(`${served.url}#matrix`)
        await page.goto(`${served.url}#${hash}`)
        await page.waitForSelector('[role=alert]')
        assert.match((await page.textContent('[role=alert]')) ?? '', what)
      }
      await says(token.slice(0, -4), /damaged|cut off/)
      await says(foreign, /not built in/)
      await says(old, /another version/)
      for (const text of hostile) {
        await says(encodeURIComponent(text), /no replay token/)
        await says(`${token}&l=${encodeURIComponent(text)}`, /damaged/)
      }
      assert.equal(await page.locator('img, main script').count(), 0)
    })
  })

  test('a mail is pasted as it came', async () => {
    await at('#matrix', async (page) => {
      const quoted = (tokenOn('upm').match(/.{1,30}/g) ?? []).map((l) => `> > ${l}`).join('\n')
      await page.fill('textarea[name=token]', quoted)
      await page.press('textarea[name=token]', 'Enter')
      await page.waitForSelector('.answer')
      assert.match((await page.textContent('.answer')) ?? '', /stale-secondary-mapping/)
    })
  })

  test('a mistake is on its line, and a scenario travels in its link', async () => {
    await at('#edit', async (page) => {
      await page.click('.cm-content')
      await page.keyboard.press('Control+End')
      await page.keyboard.type('\nnonsense')
      await page.waitForSelector('.cm-lint-marker-error')
      await page.keyboard.press('Control+z')
      await page.keyboard.press('Control+z')
      await page.waitForSelector('.cm-lint-marker-error', { state: 'detached' })
      await page.keyboard.press('Control+Home')
      await page.keyboard.type('# mine\n')
      await page.click('text=Check every interleaving')
      await page.waitForSelector('.result .word')
      const link = await page.getAttribute('.findings a', 'href')
      await at(link ?? '', async (fresh) => {
        await fresh.waitForSelector('.answer')
        assert.match((await fresh.textContent('.answer')) ?? '', /stale-secondary-mapping/)
        assert.equal(await fresh.locator('.verdict [role=alert]').count(), 0)
      })
    })
  })

  test('as one file it works without a server', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lab-'))
    const file = join(folder, 'lab.html')
    writeSingle(file, {}, served.verdicts.now())
    try {
      const open = async (page: Page): Promise<void> => {
        await page.waitForSelector('.answer')
        assert.match((await page.textContent('.answer')) ?? '', /stale-secondary-mapping/)
      }
      await at(`#${tokenOn('upm')}`, open, pathToFileURL(file).href)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
