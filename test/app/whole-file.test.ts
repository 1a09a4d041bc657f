/** A file is whole or not there. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { keepData, recallData } from '../../src/app/host/cache.js'
import { CODE } from '../../src/app/host/package.js'
import { writeWhole } from '../../src/app/host/whole-file.js'

const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-'))
const { XDG_CACHE_HOME } = process.env
process.env.XDG_CACHE_HOME = folder
after(() => {
  if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME
  else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME
  rmSync(folder, { recursive: true })
})

test('who is in the middle of a file leaves the old one', () => {
  const path = join(folder, 'file')
  writeFileSync(path, 'old')
  assert.throws(() =>
    writeWhole(path, (file) => {
      writeFileSync(file, 'ne')
      throw new Error('no room')
    }),
  )
  assert.equal(readFileSync(path, 'utf8'), 'old')
  writeWhole(path, (file) => writeFileSync(file, 'new'))
  assert.equal(readFileSync(path, 'utf8'), 'new')
  assert.deepEqual(readdirSync(folder), ['file'])
})

test('what the cache cannot keep leaves nothing behind', () => {
  const own = join(folder, 'restrictedmem', CODE.code)
  keepData('first', 1)
  assert.equal(recallData('first'), 1)
  // Where a file is to be there is a folder.
  mkdirSync(join(own, 'second.json'))
  keepData('second', 2)
  assert.equal(recallData('second'), undefined)
  assert.deepEqual(readdirSync(own).sort(), ['first.json', 'second.json'])
})
