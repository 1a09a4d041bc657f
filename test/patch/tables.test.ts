/** Slots of tables that the model has: what a patch puts there runs, and in no other table. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { upm } from '../../src/designs/upm.js'
import { lowerModule } from '../../src/lower/host.js'
import { activate, type SlotReplacement } from '../../src/machine/fn.js'
import { changesOf } from '../../src/patch/changes.js'
import { scopeOf } from '../../src/patch/facts.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { startCParser } from '../../src/patch/host/grammar.js'
import { findingIds, judgeCell } from '../../src/patch/judge.js'
import { patchesOf } from '../../src/patch/mail/patch.js'
import { mergeEdit } from '../../src/patch/merge/merge.js'
import type { Scope } from '../../src/patch/model/scope.js'
import { draft, type Plan, plan } from '../../src/patch/plan.js'
import { moduleText } from '../../src/patch/translate/module.js'

let scope: Scope

before(async () => {
  await startCParser()
  scope = scopeOf(upm, dictionary())
})

const table = (slots: string): string => `const struct address_space_operations shmem_aops = {
	.dirty_folio	= noop_dirty_folio,
${slots}};
`

function planned(to: string, from = table('\t.migrate_folio\t= migrate_folio,\n')): Plan {
  const side = (text: string, op: string): string => text.trimEnd().replace(/^/gm, op)
  const [a, b] = [from, to].map((t) => t.trimEnd().split('\n').length)
  const mail = `Subject: x\n\n--- a/mm/x.c\n+++ b/mm/x.c\n@@ -1,${a} +1,${b} @@\n${side(from, '-')}\n${side(to, '+')}\n`
  const made = draft(
    changesOf(patchesOf(mail), () => from, false),
    scope,
  )
  return plan(made, {
    calibrated: () => undefined,
    checks: made.checks,
    assumed: new Map(),
    broken: new Map(),
    merge: mergeEdit,
  })
}

const MIGRATION = builtInScenarios().find(({ path }) =>
  path.endsWith('migration/guest-touch-vs-compaction.litmus'),
)!

async function cell({ pieces }: Plan) {
  const text = moduleText(pieces, scope, 'a test')
  const { text: code, problems } = lowerModule(text)
  assert.deepEqual(problems, [], text)
  const url = `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`
  const { made } = (await import(url)) as { made: Record<string, SlotReplacement> }
  return judgeCell(MIGRATION.scenario, {
    ...upm,
    base: upm,
    replaces: [],
    slots: Object.values(made),
  })
}

test('a function that a patch puts into a slot runs there', async () => {
  const refuse = `static int refuse(struct address_space *mapping, struct folio *dst,
		  struct folio *src, enum migrate_mode mode)
{
	return -EBUSY;
}

`
  const made = planned(refuse + table('\t.migrate_folio\t= refuse,\n'))
  assert.deepEqual(
    made.entries.map((e) => `${e.name}: ${e.how}`),
    ['refuse: new', 'shmem_aops: translated'],
  )
  const before = findingIds(judgeCell(MIGRATION.scenario, upm))
  assert.ok(before.includes('stale-secondary-mapping'))
  assert.deepEqual(findingIds(await cell(made)), [])
  assert.deepEqual(findingIds(judgeCell(MIGRATION.scenario, upm)), before)
})

test('a slot that the patch fills with what is unknown is a trap', async () => {
  const made = planned(table('\t.migrate_folio\t= vendor_migrate,\n'))
  assert.match(made.entries[0]?.holes[0]?.reason ?? '', /vendor_migrate\(\), which is not in the/)
  const { marks } = await cell(made)
  assert.ok(marks.some((m) => m.startsWith('hole .migrate_folio of shmem_aops')))
})

test('a new table with what is unknown has a trap, and one that the model cannot ask is told', async () => {
  const fresh = (slots: string): string =>
    `${table('')}\nstatic const struct address_space_operations vendor_aops = {\n${slots}};\n`
  const made = planned(
    fresh('\t.owner\t= THIS_MODULE,\n\t.migrate_folio\t= vendor_migrate,\n'),
    table(''),
  )
  assert.deepEqual(
    made.entries.map((e) => `${e.name}: ${e.how}, ${e.holes.map((h) => h.reason).join()}`),
    [
      'vendor_aops: new, .migrate_folio of vendor_aops is vendor_migrate(), which is not in the model',
    ],
  )
  await cell(made)
  const other = planned(fresh('\t.launder_folio\t= vendor_launder,\n'), table(''))
  assert.match(other.entries[0]?.holes[0]?.reason ?? '', /no operation launder_folio/)
})

test('a slot that is taken away is empty, and one that the model does not have is told', async () => {
  const gone = planned(table(''))
  assert.match(
    moduleText(gone.pieces, scope, ''),
    /replaceSlot\(shmemAops, 'migrateFolio', undefined\)/,
  )
  await cell(gone)
  const from = table('')
  const more = planned(table('\t.launder_folio\t= shmem_launder,\n'), from)
  assert.match(more.entries[0]?.holes[0]?.reason ?? '', /no operation launder_folio/)
})

test('the slots of one kernel are not those of the next', () => {
  const f = Object.assign(() => 1, { id: 0, cName: 'f' })
  const t: Record<string, unknown> = { name: 't', a: f }
  activate(
    [],
    [
      { table: t, slot: 'a', by: undefined },
      { table: t, slot: 'b', by: f },
    ],
  )
  assert.deepEqual(Object.keys(t), ['name', 'b'])
  activate([])
  assert.deepEqual(t, { name: 't', a: f })
})
