/** What a calibration has found is kept, and found again as long as nothing that it rests on changes. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { calibrate } from '../../src/cli/calibration.js'
import { dictionary } from '../../src/cli/fidelity-tree.js'
import { startCParser } from '../../src/cli/grammar.js'
import { withPool } from '../../src/cli/patch-pool.js'
import { readC } from '../../src/cli/tree.js'
import { upm } from '../../src/designs/upm.js'
import { candidates } from '../../src/patch/calibrate.js'
import { scopeOf } from '../../src/patch/facts.js'

const OWN = join(resolve(import.meta.dirname, '../../..'), 'test/patch/own/restrictedmem.c')
const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-'))
const { XDG_CACHE_HOME } = process.env

before(async () => {
  process.env.XDG_CACHE_HOME = folder
  await startCParser()
})

after(() => {
  if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME
  else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME
  rmSync(folder, { recursive: true })
})

test('a function is run once, until it does something else', async () => {
  const scope = scopeOf(upm, dictionary())
  const text = readFileSync(OWN, 'utf8')
  const away = text.replace('!(how & FALLOC_FL_PUNCH_HOLE)', 'how & FALLOC_FL_PUNCH_HOLE')
  const comment = text.replace(/^/, '/* Nothing that runs. */\n')
  assert.notEqual(away, text)
  await withPool(1, async (pool) => {
    const ask = async (source: string, cache: boolean) => {
      const file = readC('mm/restrictedmem.c', source)
      const [alone] = candidates([file], scope, (c) => c === 'restrictedmem_fallocate')
      const [found] = await calibrate([{ alone: alone!, company: [] }], { scope, pool, cache })
      return found!
    }
    const first = await ask(text, true)
    assert.equal(first.result, 'equal')
    assert.ok(first.cells > 0 && first.states > 0)
    assert.equal(first.reused, false)
    assert.deepEqual(await ask(comment, true), { ...first, reused: true })
    assert.deepEqual(await ask(text, false), first)
    const other = await ask(away, true)
    assert.equal(other.reused, false)
    assert.equal(other.result, 'differs')
  })
})
