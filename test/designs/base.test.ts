/** A design is a diff of its base: what it does not say, the base says. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { expectationFor } from '../../src/app/expect.js'
import { defineDesign, replacementsOf } from '../../src/designs/design.js'
import { gmem618 } from '../../src/designs/gmem.js'
import { upm } from '../../src/designs/upm.js'
import { upmAops } from '../../src/designs/upm-aops.js'
import { KVM_MEM_READONLY } from '../../src/kernel/include/uapi.js'
import { immutableMemslotFlags } from '../../src/kernel/v6_18/virt/kvm/memslots.js'
import { readScenario } from '../../src/litmus/scenario.js'
import { lowerDesignFile } from '../../src/lower/host.js'
import { activate, fn, original, replace } from '../../src/machine/fn.js'

const before = original(immutableMemslotFlags)

const ONE_MORE = 1 << 20

const withOneMore = fn(function flags_with_one_more(): number {
  return before() | ONE_MORE
})

const define = (id: string, base: typeof gmem618) =>
  defineDesign({
    id,
    summary: 'one flag more',
    base,
    cite: [],
    replaces: [replace(immutableMemslotFlags, withOneMore)],
  })

test("the original of a function is what the design's base has made of it", () => {
  const asReleased = defineDesign({
    id: 'as-released',
    summary: 'nothing changed',
    profile: '6.18',
    cite: [],
    replaces: [],
  })
  activate(replacementsOf(asReleased))
  const released = immutableMemslotFlags()
  activate(replacementsOf(define('more', asReleased)))
  assert.equal(immutableMemslotFlags(), released | ONE_MORE)

  // gmem-6.18 replaces the function itself.
  assert.notEqual(released, KVM_MEM_READONLY)
  activate(replacementsOf(define('more-of-gmem', gmem618)))
  assert.equal(immutableMemslotFlags(), KVM_MEM_READONLY | ONE_MORE)
  activate([])
})

test("a user's design is skipped and clean as its base is, and shows what it shows; ours have rows", () => {
  const text =
    'litmus a/b\n"q"\ntask t\n  compact()\n' +
    'expect\n  gmem-6.18  finds deadlock\n  upm  clean\n  * skip "not asked"\n'
  const scenario = readScenario(text, { designs: ['gmem-6.18', 'upm'], findings: ['deadlock'] })
  const outcome = (design: typeof gmem618): string | undefined =>
    expectationFor(scenario, design)?.outcome
  assert.equal(outcome(define('more-of-gmem', gmem618)), undefined)
  assert.equal(outcome(define('more-of-upm', upm)), 'clean')
  assert.equal(outcome(define('more-of-aops', upmAops)), 'skip')
  assert.equal(outcome(upmAops), 'skip')
  const alone = defineDesign({ id: 'alone', summary: 'no base', cite: [], replaces: [] })
  assert.equal(outcome(alone), 'skip')
})

test('a design that says so goes as its base, before it goes as all others', () => {
  const text = 'litmus a/b\n"q"\ntask t\n  compact()\nexpect\n  upm  finds deadlock\n  * clean\n'
  const scenario = readScenario(text, { designs: ['upm'], findings: ['deadlock'] })
  assert.equal(expectationFor(scenario, { ...upmAops, asBase: true })?.outcome, 'finds')
  assert.equal(expectationFor(scenario, upmAops)?.outcome, 'clean')
  assert.equal(expectationFor(scenario, gmem618)?.outcome, 'clean')
})

test('so it does on a host, unless all others are skipped there', () => {
  const host = { id: 'snp', machine: 'snp' }
  const rows = (others: string): string =>
    `litmus a/b\n"q"\ntask t\n  compact()\nexpect\n  upm@snp  finds deadlock\n  *@snp ${others}\n`
  const known = { designs: ['upm', 'upm@snp', '*@snp'], findings: ['deadlock'] }
  const outcome = (others: string, asBase: boolean): string | undefined =>
    expectationFor(readScenario(rows(others), known), { ...upmAops, host, asBase })?.outcome
  assert.equal(outcome('clean', true), 'finds')
  assert.equal(outcome('clean', false), 'clean')
  assert.equal(outcome('skip "not asked"', true), 'skip')
})

test('a variable in the module of a design is refused with its place', () => {
  const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-design-'))
  try {
    const path = join(folder, 'counts.ts')
    writeFileSync(path, 'let calls = 0\n\nexport const seen = (): number => calls++\n')
    const [problem] = lowerDesignFile(path).problems
    assert.equal(problem?.line, 1)
    assert.match(problem?.message ?? '', /state in the arena/)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
