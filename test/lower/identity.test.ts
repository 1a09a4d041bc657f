/** What names and numbers must not depend on: where a file lies, and who was imported first. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { lowerDesignFile } from '../../src/lower/host.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const dir = mkdtempSync(join(tmpdir(), 'restrictedmem-identity-'))
after(() => rmSync(dir, { recursive: true }))

test('a design is the same one in every folder', () => {
  const [here, there] = ['here', 'over/there'].map((folder) => {
    mkdirSync(join(dir, folder), { recursive: true })
    const path = join(dir, folder, 'wrong.ts')
    copyFileSync(join(ROOT, 'examples/wrong.ts'), path)
    return lowerDesignFile(path)
  })
  assert.equal(here?.problems.length, 0)
  assert.equal(here?.identity, there?.identity)
  assert.doesNotMatch(here?.identity ?? '', /file:|restrictedmem-identity/)
  assert.match(here?.text ?? '', /here\/wrong\.ts/)
})

const MODULES = [
  'sanitizers/index',
  'kernel/v6_18/index',
  'kernel/virt/kvm/memslots',
  'kernel/mm/secretmem',
  'machine/work',
  'designs/index',
]

/** What differs from one engine, bundle or user to the next. */
interface Circumstances {
  readonly modules: readonly string[]
  /** Sort as another engine may: with what is compared the other way round. */
  readonly sortsOtherwise?: true
  /** A design's file that is loaded before anything boots. */
  readonly brings?: string
}

/**
 * Both lanes of the fingerprint of a booted kernel, three times, then its functions in the order of
 * their numbers; by a process of its own.
 */
function numberedIn({ modules, sortsOtherwise, brings }: Circumstances): string[] {
  const url = (m: string): string =>
    JSON.stringify(pathToFileURL(join(ROOT, 'dist/src', `${m}.js`)).href)
  const sort = `
    const { sort } = Array.prototype
    Array.prototype.sort = function (by) { return sort.call(this, by && ((a, b) => -by(b, a))) }`
  const bring = `
    const { resolveDesign } = await import(${url('app/host/designs')})
    await resolveDesign(${JSON.stringify(brings)})`
  const text = `
    ${sortsOtherwise ? sort : ''}
    for (const m of [${modules.map(url).join()}]) await import(m)
    const { designNamed } = await import(${url('hosts/index')})
    const { bootKernel } = await import(${url('cell/boot')})
    const { fingerprintHi, fingerprintLo } = await import(${url('machine/arena')})
    const { allBodies } = await import(${url('machine/fn')})
    ${brings === undefined ? '' : bring}
    for (const id of ['upm', 'v10', 'upm']) {
      bootKernel(designNamed(id), 'lowered')
      console.log(fingerprintLo(), fingerprintHi())
    }
    for (const b of [...allBodies()].sort((a, b) => a.number - b.number)) {
      console.log(b.number, b.cName, b.place)
    }`
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', text], {
    encoding: 'utf8',
    cwd: ROOT,
  })
  return printed.split('\n').slice(0, -1)
}

test('states and functions have one number each, whoever imports, sorts and brings a design', () => {
  const first = numberedIn({ modules: MODULES })
  const [before, , again] = first
  assert.equal(again, before)
  const modules = [...MODULES].reverse()
  assert.deepEqual(numberedIn({ modules, sortsOtherwise: true }), first)
  const more = numberedIn({ modules, brings: 'examples/wrong.ts' })
  assert.deepEqual(more.slice(0, first.length), first)
  assert.ok(more.some((line) => line.includes('examples/wrong.ts')))
})
