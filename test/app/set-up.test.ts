/** `tools/setup.mjs` where it cannot write: it says so at once, and waits for nobody. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

const SETUP = resolve(import.meta.dirname, '../../../tools/setup.mjs')
const NOBODY = 65534

/** Set up a clone that has nothing but this program. */
function setUp(spoil: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-set-up-'))
  try {
    mkdirSync(join(folder, 'tools'))
    const program = join(folder, 'tools/setup.mjs')
    copyFileSync(SETUP, program)
    spoil(folder)
    const other = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
    const { status, stderr } = spawnSync(process.execPath, [program], {
      encoding: 'utf8',
      ...other,
    })
    assert.equal(status, 2, stderr)
    assert.match(stderr, /^set-up can't write to .*: (EACCES|ENOTDIR)/)
  } finally {
    chmodSync(folder, 0o755)
    rmSync(folder, { recursive: true, force: true })
  }
}

const notHere = { skip: process.platform === 'win32' }

test('a folder that others own is not taken for a locked one', notHere, () => {
  setUp((folder) => chmodSync(folder, 0o555))
})

test('nor is what stands where the lock should be', notHere, () => {
  setUp((folder) => {
    writeFileSync(join(folder, '.setup-lock'), '')
    chmodSync(folder, 0o755)
  })
})

test('nor is a lock of others that cannot be read', notHere, () => {
  setUp((folder) => {
    const lock = join(folder, '.setup-lock')
    mkdirSync(lock)
    chmodSync(lock, 0)
    chmodSync(folder, 0o755)
  })
})
