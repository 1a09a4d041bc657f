import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { before, test } from 'node:test'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { upm } from '../../src/designs/upm.js'
import { lowerModule } from '../../src/lower/host.js'
import type { Replacement } from '../../src/machine/fn.js'
import { type Candidate, calibrationModules, candidates } from '../../src/patch/calibrate.js'
import { scopeOf } from '../../src/patch/facts.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { startCParser } from '../../src/patch/host/grammar.js'
import { readC } from '../../src/patch/host/tree.js'
import { type CellFacts, type Difference, difference, judgeCell } from '../../src/patch/judge.js'
import type { Scope } from '../../src/patch/model/scope.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const OWN = readFileSync(join(ROOT, 'test/patch/own/restrictedmem.c'), 'utf8')

/** Scenarios that reach the functions, small ones. */
const SCENARIOS = [
  'migration/guest-touch-vs-compaction',
  'punch/punch-vs-guest-fault',
  'memslot/unbind-during-punch',
  'memslot/bind-during-punch',
  'size/truncate-to-the-same-size',
  'lifetime/close-the-file-and-delete-the-slot',
  'memslot/one-file-in-two-vms',
]

let scope: Scope
const files = builtInScenarios().filter(({ path }) =>
  SCENARIOS.some((s) => path.endsWith(`${s}.litmus`)),
)
const base = new Map<string, CellFacts>()

before(async () => {
  await startCParser()
  scope = scopeOf(upm, dictionary())
  for (const { path, scenario } of files) base.set(path, judgeCell(scenario, upm))
})

type Made = Readonly<Record<string, Replacement>>

async function loaded(list: readonly Candidate[]): Promise<Made[]> {
  const modules: Made[] = []
  const groups = list.map((c) => c.pieces)
  for (const text of calibrationModules(groups, scope).texts) {
    const { text: code, problems } = lowerModule(text)
    assert.deepEqual(problems, [], text)
    const url = `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`
    modules.push(((await import(url)) as { made: Made }).made)
  }
  return modules
}

/** The first scenario that a replaced function changes, and how. */
function firstDifference(by: Replacement): (Difference & { path: string }) | undefined {
  for (const { path, scenario } of files) {
    let d: Difference | undefined
    try {
      const facts = judgeCell(scenario, { ...upm, base: upm, replaces: [by] })
      d = difference(base.get(path)!, facts)
    } catch (error) {
      d = { what: 'unfinished', detail: (error as Error).message }
    }
    if (d !== undefined) return { ...d, path }
  }
  return undefined
}

function translated(source: string, name?: string): Candidate[] {
  const list = candidates([readC('mm/restrictedmem.c', source)], scope, (c) => (name ?? c) === c)
  for (const c of list) assert.equal(c.reason, undefined, `${c.c}: ${c.reason?.reason}`)
  return list
}

test('C that says what the model does leads to the same final states', async () => {
  const list = translated(OWN)
  assert.equal(list.length, 7)
  const [made, ...more] = await loaded(list)
  assert.equal(more.length, 0)
  for (const [name, by] of Object.entries(made!)) {
    assert.equal(firstDifference(by), undefined, name)
  }
})

/** One line of C, and what becomes of it. */
const MUTATIONS: readonly (readonly [f: string, from: string, to: string])[] = [
  ['restrictedmem_release', '\tfput(inner);\n', ''],
  ['restrictedmem_release', 'fput(inner);', 'fput(outer);'],
  ['restrictedmem_release', '\tkfree(r);\n', ''],
  [
    'restrictedmem_release',
    '\txa_destroy(&r->bindings);\n',
    '\txa_destroy(&r->bindings);\n\tkfree(r);\n',
  ],
  [
    'restrictedmem_punch_hole',
    '\tif (!PAGE_ALIGNED(from))\n\t\treturn -EINVAL;\n',
    '\tif (PAGE_ALIGNED(from))\n\t\treturn -EINVAL;\n',
  ],
  [
    'restrictedmem_punch_hole',
    'behind = (from + bytes) >> PAGE_SHIFT',
    'behind = from >> PAGE_SHIFT',
  ],
  [
    'restrictedmem_punch_hole',
    'user->ops->invalidate_start(user',
    'user->ops->invalidate_end(user',
  ],
  [
    'restrictedmem_punch_hole',
    'user->ops->invalidate_end(user',
    'user->ops->invalidate_start(user',
  ],
  ['restrictedmem_punch_hole', 'down_read(&r->lock)', 'down_write(&r->lock)'],
  ['restrictedmem_punch_hole', '\tup_read(&r->lock);\n', ''],
  [
    'restrictedmem_fallocate',
    'if (!(how & FALLOC_FL_PUNCH_HOLE))',
    'if (how & FALLOC_FL_PUNCH_HOLE)',
  ],
  ['restrictedmem_setattr', 'if (inner->i_size)', 'if (!inner->i_size)'],
  ['restrictedmem_bind', 'if (!exclusive)', 'if (exclusive)'],
  ['restrictedmem_bind', '\txa_store_range(&r->bindings, start, end, user, GFP_KERNEL);\n', ''],
  [
    'restrictedmem_bind',
    'if (xa_find(&r->bindings, &start, end, XA_PRESENT))\n\t\tgoto unlock;',
    'if (xa_find(&r->bindings, &start, end, XA_PRESENT))\n\t\terr = 0;',
  ],
  ['restrictedmem_unbind', '\tsynchronize_rcu();\n', ''],
  [
    'restrictedmem_unbind',
    'xa_store_range(&r->bindings, start, end, NULL',
    'xa_store_range(&r->bindings, start, start, NULL',
  ],
  ['restrictedmem_get_page', '\tunlock_page(*pagep);\n', ''],
  ['restrictedmem_get_page', '\tSetPageUptodate(*pagep);\n', ''],
  ['restrictedmem_get_page', 'SGP_WRITE', 'SGP_CACHE'],
]

test('of 20 one-line mutations of C, 18 or more change what can be seen', async () => {
  assert.equal(MUTATIONS.length, 20)
  const mutants = MUTATIONS.map(([f, from, to]) => {
    const source = OWN.replace(from, to)
    assert.notEqual(source, OWN, from)
    const [only] = translated(source, f)
    assert.ok(only !== undefined)
    return only
  })
  const modules = await loaded(mutants)
  const unseen: string[] = []
  mutants.forEach((mutant, i) => {
    const slot = mutant.pieces.find((p) => p.replaces !== undefined)!
    const before = mutants.slice(0, i).filter((m) => m.c === mutant.c).length
    const by = modules.filter((m) => m[slot.replaces!] !== undefined)[before]?.[slot.replaces!]
    assert.ok(by !== undefined)
    if (firstDifference(by) === undefined) unseen.push(MUTATIONS[i]!.join(' → '))
  })
  assert.ok(unseen.length <= 2, unseen.join('\n'))
})
