/** What a calibration has found is kept, and found again as long as nothing that it rests on changes. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { upm } from '../../src/designs/upm.js'
import { candidates } from '../../src/patch/calibrate.js'
import { scopeOf } from '../../src/patch/facts.js'
import { calibrate } from '../../src/patch/host/calibration.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { startCParser } from '../../src/patch/host/grammar.js'
import { type PatchPool, withPool } from '../../src/patch/host/pool.js'
import { readC } from '../../src/patch/host/tree.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const OWN = join(ROOT, 'test/patch/own/restrictedmem.c')
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

test('what is kept is kept under a name that says all it rests on', async () => {
  const { reach } = await import(pathToFileURL(join(ROOT, 'tools/reach.mjs')).href)
  const build = readFileSync(join(ROOT, 'tools/build.mjs'), 'utf8')
  const [, list = ''] = /^const READING = \[(.*)\]$/m.exec(build) ?? []
  const starts = [...list.matchAll(/'([^']+)'/g)].map(([, name]) => name)
  assert.ok(starts.includes('src/patch/host/worker.ts'))
  const all: ReadonlySet<string> = reach(ROOT, starts)
  for (const name of ['patch/judge', 'app/expect', 'lower/project', 'patch/translate/call']) {
    assert.ok(all.has(`src/${name}.ts`), name)
  }
  assert.ok(![...all].some((name) => /^src\/(cli|lab|report)\//.test(name)))
})

/** A pool that comes to no end in any cell that the function is in. */
function endless(pool: PatchPool): PatchPool {
  const difference = { what: 'unfinished', detail: 'a limit was hit' } as const
  return {
    ...pool,
    compare: async (jobs) => {
      const results = await pool.compare(jobs)
      return results.map((r) => ({
        ...r,
        variants: r.variants.map((v) => (v.cell === undefined ? v : { ...v, difference })),
      }))
    },
  }
}

test('a function is run once, until it does something else', async () => {
  const scope = scopeOf(upm, dictionary())
  const text = readFileSync(OWN, 'utf8')
  const away = text.replace('!(how & FALLOC_FL_PUNCH_HOLE)', 'how & FALLOC_FL_PUNCH_HOLE')
  const comment = text.replace(/^/, '/* Nothing that runs. */\n')
  assert.notEqual(away, text)
  await withPool(1, async (pool) => {
    const ask = async (source: string, cache: boolean, by = pool) => {
      const file = readC('mm/restrictedmem.c', source)
      const [alone] = candidates([file], scope, (c) => c === 'restrictedmem_fallocate')
      const [found] = await calibrate([{ alone: alone!, company: [] }], { scope, pool: by, cache })
      return found!
    }
    // What came to no end is not kept.
    const unfinished = await ask(text, true, endless(pool))
    assert.match(unfinished.detail, /unfinished, a limit was hit/)
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
