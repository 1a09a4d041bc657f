import assert from 'node:assert/strict'
import { request } from 'node:http'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { builtFile } from '../../src/lab/host/ship.js'
import type { Lab } from './browser.js'

interface Answered {
  readonly code: number
  readonly headers: NodeJS.Dict<string | string[]>
}

/** What is loaded for a story. */
const FIRST = ['app.js', 'style.css', 'worker.js']

export function testServer(lab: Lab): void {
  /** Ask the server as nothing but a program would. */
  function ask(
    path: string,
    headers: Record<string, string> = {},
    method = 'GET',
  ): Promise<Answered> {
    const { port } = new URL(lab.url)
    return new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
        response.resume()
        resolve({ code: response.statusCode ?? 0, headers: response.headers })
      })
      asked.on('error', reject)
      asked.end()
    })
  }

  describe('the server', () => {
    test('answers to its own name only', async () => {
      assert.equal((await ask('/')).code, 200)
      assert.equal((await ask('/', { host: 'example.org' })).code, 403)
      assert.equal((await ask('/changes', { host: 'example.org' })).code, 403)
      assert.equal((await ask('/', {}, 'POST')).code, 405)
    })
    test('can be reached from this machine by one address only', async () => {
      // Any other address of this machine stands for all others; Linux has a whole net of them.
      const { port } = new URL(lab.url)
      const refused = await new Promise<string>((resolve, reject) => {
        const socket = connect(Number(port), '127.0.0.2', () => reject(new Error('it answers')))
        socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
      })
      assert.match(refused, /^E/)
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
    test('lets only workers compile code', async () => {
      const policy = async (path: string): Promise<string> =>
        String((await ask(path)).headers['content-security-policy'])
      assert.match(await policy('/worker.js'), /'unsafe-eval'/)
      for (const path of ['/', '/app.js', '/data.json']) {
        assert.doesNotMatch(await policy(path), /unsafe/)
      }
    })
    test('is small: page, app and worker are at most 250 kB', () => {
      const bytes = FIRST.map((n) => gzipSync(builtFile(n)).length)
      assert.ok(bytes.reduce((a, b) => a + b, 0) <= 250_000, String(bytes))
    })
  })
}
