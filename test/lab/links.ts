import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import type { Page } from 'playwright-core'
import { CODE } from '../../src/app/host/package.js'
import { cellHash, decodeToken, encodeToken } from '../../src/app/token.js'
import { type Lab, noBrowser, textOf } from './browser.js'

/** What somebody may write where a name, a token or a text is expected. */
const HOSTILE = [
  '<img src=x onerror="globalThis.hacked=1">',
  '<svg/onload=globalThis.hacked=1>',
  '"><script>globalThis.hacked=1</script>',
  'javascript:globalThis.hacked=1',
  `\${globalThis.hacked=1}`,
  '__proto__',
  'constructor',
  '../../../../etc/passwd',
  'https://example.org/x.js',
  '\u0000\u202e\ufeff',
  '%00%0d%0aX: y',
  '%',
  'a'.repeat(20_000),
] as const

const packed = (text: string): string => deflateRawSync(text).toString('base64url')

/** A scenario whose question is hostile, and which is right in all else. */
const asking = (question: string): string => `litmus own/mine
"${question}"

setup
  fd = private_memory(kvm_create_vm(SW_PROTECTED), 1P)
`

/** Where each hostile text may stand in a hash. */
function hashesOf(text: string, token: string): string[] {
  const raw = encodeURIComponent(text)
  const read = decodeToken(token)
  const made = (change: object): string => encodeToken({ ...read, ...change })
  return [
    raw,
    encodeURIComponent(made({ scenario: text })),
    encodeURIComponent(made({ design: text })),
    `${token}&on=${raw}`,
    `${token}&l=${raw}&s=${raw}`,
    `${token}&l=${packed(text)}`,
    `edit/${raw}`,
    `docs/${raw}`,
    `matrix/${raw}`,
    `edit&l=${packed(text)}`,
  ]
}

/** The screen of a hash is there: an answer, a reason why there is none, or something to edit. */
const SETTLED = '[role=alert], .answer, .matrix table, .edit .notice, .edit .code, .docpage'

/** Go to each hash in turn, and wait until its screen is there. */
async function follow(page: Page, hashes: readonly string[]): Promise<void> {
  await page.evaluate(`(async () => {
    const until = async (holds) => {
      while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const there = (selector) => document.querySelector(selector) !== null
    for (const hash of ${JSON.stringify(hashes)}) {
      location.hash = '#learn'
      await until(() => there('.docs'))
      location.hash = '#' + hash
      await until(() => !there('.docs') && there(${JSON.stringify(SETTLED)}))
    }
  })()`)
}

export function testLinks(lab: Lab): void {
  describe('a link', { skip: noBrowser }, () => {
    test('that can’t be followed says why', async () => {
      const token = lab.token('upm')
      const foreign = encodeToken({ ...decodeToken(token), scenario: 'no-such' })
      const old = encodeToken({ ...decodeToken(token), hash: 'acd255da' })
      const complaints = await lab.at('#learn', async (page) => {
        const says = async (hash: string, what: RegExp): Promise<void> => {
          await follow(page, [hash])
          assert.match(await textOf(page, '[role=alert]'), what)
        }
        await says(token.slice(0, -4), /damaged|cut off/)
        await says(foreign, /not built in/)
        await says(old, /another version/)
        await says(`${token}&l=x`, /damaged/)
        await says(`${token}&l=${packed('#'.repeat(9_000_000))}`, /too long/)
      })
      assert.deepEqual(complaints, [])
    })

    test('runs no script, breaks nothing and asks nobody, whatever it says', async () => {
      const token = lab.token('upm')
      const hashes = HOSTILE.flatMap((text) => hashesOf(text, token))
      assert.ok(hashes.length >= 100)
      for (const question of HOSTILE.filter((q) => !/["\n]/.test(q))) {
        const text = asking(question)
        const hash = cellHash(CODE.code, text, 'upm')
        const own = encodeToken({ scenario: 'mine', design: 'upm', hash, schedule: [] })
        hashes.push(`${own}&l=${packed(text)}`)
      }
      const asked: string[] = []
      const complaints = await lab.at('#learn', async (page) => {
        page.on('request', (r) => asked.push(r.url()))
        await follow(page, hashes)
        assert.equal(await page.evaluate('globalThis.hacked'), undefined)
        const strange = '#app :is(img, script, iframe, object, embed, [onload], [onerror])'
        assert.equal(await page.locator(strange).count(), 0)
        await follow(page, [token])
        assert.match(await textOf(page, '.answer'), /stale-secondary-mapping/)
      })
      assert.deepEqual(complaints, [])
      assert.deepEqual(
        asked.filter((u) => !u.startsWith(lab.url)),
        [],
      )
    })
  })
}
