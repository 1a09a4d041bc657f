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

/** Both lanes of the fingerprint of a booted kernel, by a process that imports in this order. */
function fingerprintAfter(modules: readonly string[]): string {
  const url = (m: string): string => pathToFileURL(join(ROOT, 'dist/src', `${m}.js`)).href
  const text = `
    for (const m of ${JSON.stringify(modules.map(url))}) await import(m)
    const { DESIGNS } = await import(${JSON.stringify(url('designs/index'))})
    const { bootKernel } = await import(${JSON.stringify(url('cell/boot'))})
    const { fingerprintHi, fingerprintLo } = await import(${JSON.stringify(url('machine/arena'))})
    const print = () => console.log(fingerprintLo(), fingerprintHi())
    for (const id of ['upm', 'v10', 'upm']) {
      bootKernel(DESIGNS.find((d) => d.id === id), 'lowered')
      print()
    }`
  return execFileSync(process.execPath, ['--input-type=module', '-e', text], { encoding: 'utf8' })
}

test('a state has one fingerprint, whatever was imported first and booted before', () => {
  const first = fingerprintAfter(MODULES)
  assert.equal(fingerprintAfter([...MODULES].reverse()), first)
  const [before, , again] = first.split('\n')
  assert.equal(again, before)
})
