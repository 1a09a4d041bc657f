import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, loadDesigns, loadScenarios } from '../../src/app/host/index.js'
import type { Move } from '../../src/cell/schedule.js'
import type { Design } from '../../src/designs/design.js'
import { replayPictured, type Shown } from '../../src/explore/tell/pictured.js'
import { designNamed } from '../../src/hosts/index.js'
import { renderMemory } from '../../src/report/memory.js'
import { align } from '../../src/trace/align.js'
import { changedParts, type Picture } from '../../src/trace/memory.js'

const NAME = 'migration/guest-touch-vs-compaction'
const [file] = loadScenarios([NAME])

async function staleOnV10(): Promise<readonly Move[]> {
  const designs = await loadDesigns(['v10'])
  const { cells } = await check({ scenarios: loadScenarios([NAME]), designs })
  const found = cells[0]?.verdict.findings.find((f) => f.id === 'stale-secondary-mapping')
  return found?.schedule ?? []
}

const schedule = await staleOnV10()

function replayOn(design: string, onward = false): Shown {
  const scenario = file?.scenario
  assert.ok(scenario)
  return replayPictured(scenario, designNamed(design) as Design, schedule, 'lowered', onward)
}

const v10 = replayOn('v10')
const { pictures, names } = v10.pictured
const last = pictures.at(-1) as Picture

test('there is a picture of the initial state and of each state behind a step', () => {
  assert.equal(pictures.length, v10.trace.steps.length + 1)
})

test('objects have the names that the scenario gives them', () => {
  assert.deepEqual(
    pictures[0]?.guest.map((g) => [g.vm, g.gfn, g.private, g.backing, g.spte]),
    [['vm', 0, true, { file: 'fd', index: 0 }, undefined]],
  )
  assert.ok(Object.values(names).includes('fd'))
})

test('an SPTE comes with the fault, and the frame that it maps is the one in the page cache', () => {
  const mapped = pictures.findIndex((p) => p.guest[0]?.spte !== undefined)
  const at = pictures[mapped] as Picture
  assert.equal(v10.trace.steps[mapped - 1]?.stack[0]?.cName, 'kvm_tdp_mmu_map')
  assert.equal(at.cache[0]?.pfn, at.guest[0]?.spte?.pfn)
  const changed = changedParts(pictures[mapped - 1] as Picture, at)
  assert.deepEqual([...changed], ['vm gfn 0 spte', 'vcpu0 holds'])
})

test('what the judges say of a mapping is on the guest frame, in that state and not before', () => {
  const reproached = pictures.map((p) => p.guest.flatMap((g) => g.reproaches.map((r) => r.id)))
  assert.deepEqual(reproached.at(-1), ['stale-secondary-mapping'])
  assert.ok(reproached.slice(0, -1).every((ids) => ids.length === 0))
  assert.notEqual(last.cache[0]?.pfn, last.guest[0]?.spte?.pfn)
})

test('a task holds the locks that it has taken', () => {
  const kcompactd = last.tasks.find((t) => t.name === 'kcompactd')
  assert.deepEqual(kcompactd?.holds, ['folio_lock (folio 0)', 'folio_lock (folio 1)'])
})

test('as text the map tells the same, and only what changed', () => {
  const text = renderMemory(v10.trace, v10.pictured)
  assert.match(text, /vm gfn 0x0 private: no SPTE; fd\[0\] is hole/)
  assert.match(text, /SPTE -> pfn 0.*fd\[0\] is pfn 1\n +\*\*\* stale-secondary-mapping/)
  assert.ok(text.split('\n').every((line) => line.length <= 79))
})

test('two designs part where their effects do, not where a function has another name', () => {
  const other = replayOn('upm-aops', true)
  const { parting, here } = align(
    { trace: v10.trace, names },
    { trace: other.trace, names: other.pictured.names },
  )
  assert.equal(parting?.task, 'kcompactd')
  assert.equal(parting?.here?.where, 'folio_migrate_mapping')
  assert.equal(parting?.step, v10.trace.steps.length)
  assert.deepEqual([...here], [v10.trace.steps.length])
  const ends = other.trace.steps.flatMap((s) => (s.task === 'kcompactd' ? s.returned : []))
  assert.deepEqual(ends, ['migrate(fd, page=0) = -EBUSY'])
})

test('a design that does the same parts nowhere', () => {
  const same = replayOn('upm', true)
  const { parting } = align(
    { trace: v10.trace, names },
    { trace: same.trace, names: same.pictured.names },
  )
  assert.equal(parting, undefined)
  assert.ok(same.trace.steps.some((s) => s.findings.length > 0))
})

test('a replay goes on to where everything has ended', () => {
  const { trace, followed } = replayOn('upm-aops', true)
  assert.equal(followed, schedule.length)
  assert.ok(trace.steps.length > followed)
  assert.equal(trace.steps.at(-1)?.task, 'exit')
})
