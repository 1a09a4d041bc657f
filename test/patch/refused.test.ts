/** Patches of what the model does not have: refused where they are, and nothing is called clean. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { before, test } from 'node:test'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import type { Design } from '../../src/designs/design.js'
import { gmem618 } from '../../src/designs/gmem.js'
import { lowerModule } from '../../src/lower/host.js'
import type { Replacement } from '../../src/machine/fn.js'
import { changesOf } from '../../src/patch/changes.js'
import { scopeOf } from '../../src/patch/facts.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { startCParser } from '../../src/patch/host/grammar.js'
import { reachOf } from '../../src/patch/host/review.js'
import { difference, judgeCell, withProbes } from '../../src/patch/judge.js'
import { patchesOf } from '../../src/patch/mail/patch.js'
import { mergeEdit } from '../../src/patch/merge/merge.js'
import { draft, type Plan, plan } from '../../src/patch/plan.js'
import { HOLE_MARK, moduleText } from '../../src/patch/translate/module.js'
import { reviewOf } from '../../src/patch/verdicts.js'

const OWN = join(resolve(import.meta.dirname, '../../..'), 'test/patch/own')

before(startCParser)

function planned(name: string, design: Design): Plan {
  const mail = readFileSync(join(OWN, `${name}.eml`), 'utf8')
  const made = draft(changesOf(patchesOf(mail), undefined, false), scopeOf(design, dictionary()))
  return plan(made, {
    calibrated: () => undefined,
    checks: made.checks,
    assumed: new Map(),
    broken: new Map(),
    merge: mergeEdit,
  })
}

/** The cell is not judged: some execution of it meets a trap. */
async function meetsTrap(made: Plan, design: Design, scenario: string): Promise<void> {
  const { text, problems } = lowerModule(moduleText(made.pieces, scopeOf(design, dictionary()), ''))
  assert.deepEqual(problems, [])
  const url = `data:text/javascript;base64,${Buffer.from(text).toString('base64')}`
  const { made: by } = (await import(url)) as { made: Record<string, Replacement> }
  const cell = builtInScenarios().find(({ path }) => path.endsWith(`${scenario}.litmus`))!
  const replaces = Object.values(by).filter((r) => 'of' in r)
  const facts = judgeCell(cell.scenario, { ...design, base: design, replaces })
  const probed = withProbes(design, new Map())
  const apart = difference(judgeCell(cell.scenario, probed.design), facts)
  const reach = reachOf(made, scopeOf(design, dictionary()))
  const runs = reach.length === 0 || reach.some((place) => probed.ran.has(place))
  assert.ok(runs, 'the review does not run the cell')
  const isReached = facts.marks.some((m) => m.startsWith(HOLE_MARK))
  // A trap in the set-up leaves nothing to judge.
  assert.ok(isReached || (facts.skipped !== undefined && apart?.what === 'set-up'), scenario)
  const base = { findings: [], skipped: undefined }
  const { marks, skipped } = facts
  const patched = { findings: [], marks, skipped }
  const reviewed = reviewOf([{ scenario, base, patched, difference: apart }], made.entries)
  assert.equal(reviewed.cells[0]?.word, 'not judged')
  assert.ok(reviewed.partly)
}

test('large folios', async () => {
  const made = planned('large-folios', gmem618)
  const [huge, grab] = made.entries
  assert.equal(huge?.name, 'kvm_gmem_grab_huge')
  assert.match(huge?.holes[0]?.reason ?? '', /round_down|filemap_range_has_page/)
  assert.equal(huge?.holes[0]?.line, 62)
  assert.equal(grab?.how, 'not modelled')
  await meetsTrap(made, gmem618, 'migration/guest-touch-vs-compaction')
})

test('the direct map of secret memory', async () => {
  const made = planned('direct-map', gmem618)
  const [fault] = made.entries
  assert.equal(fault?.how, 'not translated')
  const hole = fault?.holes.find((h) => /set_direct_map_invalid_noflush\(\)/.test(h.reason))
  assert.ok(hole, fault?.holes.map((h) => h.reason).join())
  await meetsTrap(made, gmem618, 'migration/secret-memory-vs-compaction')
})

test('a hook of a vendor', async () => {
  const made = planned('vendor-hook', gmem618)
  const names = made.entries.map((e) => `${e.name}: ${e.how}`)
  assert.deepEqual(names, ['kvm_gmem_punch_hole: not translated', 'ours: not modelled'])
  const reasons = made.entries.flatMap((e) => e.holes.map((h) => h.reason)).join('; ')
  assert.match(reasons, /kvm_x86_call/)
  assert.ok(made.pieces.some((p) => p.replaces === 'kvmX86GmemInvalidate' && p.why !== undefined))
  await meetsTrap(made, gmem618, 'punch/punch-vs-guest-fault')
})
