/** The root file system of the second kernel, as another program reads it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { cpio } from '../../src/live/qemu/cpio.js'

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.js')

test('an archive has its entries in order, each aligned, and ends with the trailer', () => {
  const data = new TextEncoder().encode('hello')
  const archive = Buffer.from(
    cpio([
      { name: 'dev', mode: 0o040755 },
      { name: 'dev/console', mode: 0o020600, device: [5, 1] },
      { name: 'init', mode: 0o100700, data },
    ]),
  )
  const seen: (readonly [string, number, string])[] = []
  const field = (at: number, n: number): number =>
    Number.parseInt(archive.toString('latin1', at + 6 + 8 * n, at + 14 + 8 * n), 16)
  for (let at = 0; at < archive.length; ) {
    assert.equal(archive.toString('latin1', at, at + 6), '070701')
    const [mode, size, nameSize] = [field(at, 1), field(at, 6), field(at, 11)]
    const name = archive.toString('latin1', at + 110, at + 110 + nameSize - 1)
    const from = Math.ceil((at + 110 + nameSize) / 4) * 4
    seen.push([name, mode, archive.toString('latin1', from, from + size)])
    at = Math.ceil((from + size) / 4) * 4
  }
  assert.deepEqual(seen, [
    ['dev', 0o040755, ''],
    ['dev/console', 0o020600, ''],
    ['init', 0o100700, 'hello'],
    ['TRAILER!!!', 0, ''],
  ])
})

test('without the programs it needs, or a kernel, it says what to get', () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [MAIN, 'conform', '--qemu', '/no/such.deb'],
    { encoding: 'utf8' },
  )
  assert.match(stdout + stderr, /apt-get\s(install|download)\s/)
  assert.ok(status === 4 || status === 2, `${status}`)
})
