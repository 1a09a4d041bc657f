/** The matrix as a golden file: a change of any verdict is a change to review. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { expectationFor } from '../../src/app/expect.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { encodeToken } from '../../src/app/token.js'
import type { Finding, Verdict } from '../../src/app/verdict.js'
import { DESIGNS } from '../../src/designs/index.js'
import { replayScenario } from '../../src/explore/tell/replay.js'
import { INVERSIONS, LOCK_CLASSES } from '../../src/kernel/include/lockdep.js'
import { pairsNoted } from '../../src/machine/task.js'
import { renderColumns } from '../../src/report/columns.js'
import { assertToldAlike, PageWorker } from '../lab/page-worker.js'

const GOLDEN = join(resolve(import.meta.dirname, '../../..'), 'test/explore/matrix.golden.txt')

/** What docs/lock-order.md is made from: which lock was taken under which. */
const PAIRS = join(resolve(import.meta.dirname, '../../..'), 'test/explore/lock-order.golden.txt')

const effort = {
  bound: undefined,
  keepGoing: () => true,
  now: () => 0,
}

const files = builtInScenarios()
const verdicts: Verdict[] = files.flatMap((f) =>
  DESIGNS.map((d) => checkScenario(f.scenario, d, effort)),
)

function tokenOf({ scenario, design }: Verdict, { schedule }: Finding): string {
  return encodeToken({ scenario, design, hash: '00000000', schedule })
}

/** One line for a cell: what is claimed, by what proof, with how few preemptions. */
function line(v: Verdict): string {
  const found = v.findings.map((f) => `${f.first ? '' : '+'}${f.id}@${f.preemptions}`)
  return [v.scenario, v.design, v.verdict, v.proof ?? '-', ...found].join(' ')
}

test('every verdict of the built-in matrix is the reviewed one', () => {
  const now = `${verdicts.map(line).join('\n')}\n`
  if (process.env.UPDATE_GOLDEN !== undefined) writeFileSync(GOLDEN, now)
  assert.equal(now, readFileSync(GOLDEN, 'utf8'))
})

test('locks are taken in the order of the page, in these pairs', () => {
  const now = `${[...pairsNoted()].sort().join('\n')}\n`
  if (process.env.UPDATE_GOLDEN !== undefined) writeFileSync(PAIRS, now)
  assert.equal(now, readFileSync(PAIRS, 'utf8'))
  const place = new Map(LOCK_CLASSES.map((c, i) => [c.name, i]))
  const against = [...pairsNoted()].sort().filter((pair) => {
    const [held, taken] = pair.split(' > ').map((name) => place.get(name))
    return held !== undefined && taken !== undefined && held >= taken
  })
  assert.deepEqual(
    against,
    INVERSIONS.map((i) => i.pair),
  )
})

test('every cell is exhaustive, and as its scenario expects, or skipped by it', () => {
  for (const v of verdicts) {
    if (v.verdict === 'skipped') {
      const { scenario } = files.find((f) => f.scenario.name === v.scenario)!
      const row = expectationFor(scenario, DESIGNS.find((d) => d.id === v.design)!)
      assert.equal(row?.outcome, 'skip', `${v.scenario} on ${v.design}: ${v.reason}`)
      continue
    }
    assert.equal(v.proof, 'exhaustive', `${v.scenario} on ${v.design}`)
    assert.notEqual(v.asExpected, false, `${v.scenario} on ${v.design}: ${v.reason}`)
  }
})

test('every scenario says what it expects of every design', () => {
  for (const v of verdicts) {
    if (v.verdict !== 'skipped') assert.equal(v.asExpected, true, `${v.scenario} on ${v.design}`)
  }
})

test('tokens are short: 64 characters for all but a few, and none over 200', () => {
  const sizes = verdicts.flatMap((v) => v.findings.map((f) => tokenOf(v, f).length))
  assert.ok(sizes.length > 100)
  assert.ok(Math.max(...sizes) <= 200, `${Math.max(...sizes)}`)
  const short = sizes.filter((n) => n <= 64).length
  assert.ok(short >= sizes.length * 0.9, `${short} of ${sizes.length}`)
})

test('a finding is shown on one screen, and in at most 12 blocks', () => {
  for (const v of verdicts) {
    const { scenario } = files.find((f) => f.scenario.name === v.scenario)!
    const design = DESIGNS.find((d) => d.id === v.design)!
    for (const finding of v.findings) {
      const { trace } = replayScenario(scenario, design, finding.schedule, 'lowered')
      const token = tokenOf(v, finding)
      const lines = renderColumns(trace).split('\n')
      assert.ok(lines.length <= 48, `${lines.length} lines: ${token}`)
      assert.ok(
        lines.some((l) => l.includes('***')),
        token,
      )
      const blocks = trace.steps.filter((s, i) => s.task !== trace.steps[i - 1]?.task)
      assert.ok(blocks.length <= 12, `${blocks.length} blocks: ${token}`)
    }
  }
})

test('the page tells every finding as the command does', () => {
  const page = new PageWorker()
  for (const v of verdicts) {
    const file = files.find((f) => f.scenario.name === v.scenario)!
    const design = DESIGNS.find((d) => d.id === v.design)!
    for (const finding of v.findings) assertToldAlike(page, file, design, finding)
  }
})

test('a token needs no area to name a built-in scenario', () => {
  const names = files.map((f) => f.scenario.name.replace(/^.*\//, ''))
  assert.equal(new Set(names).size, names.length)
})

describe('the token of a finding leads to it again, to the same state, on both ways of running', () => {
  for (const { scenario } of files) {
    test(scenario.name, () => {
      for (const design of DESIGNS) {
        const verdict = verdicts.find((v) => v.scenario === scenario.name && v.design === design.id)
        for (const finding of verdict?.findings ?? []) {
          const { schedule } = finding
          const once = replayScenario(scenario, design, schedule, 'lowered')
          const twice = replayScenario(scenario, design, schedule, 'lowered')
          const direct = replayScenario(scenario, design, schedule, 'direct')
          assert.equal(once.divergence, undefined)
          assert.deepEqual(twice.trace.fingerprint, once.trace.fingerprint)
          assert.equal(direct.divergence, undefined)
          // A livelock is a fact about the graph, not about one execution.
          if (finding.id === 'livelock') continue
          for (const { trace } of [once, direct]) {
            const found = [...trace.setUp, ...trace.steps.flatMap((s) => s.findings)]
            const ids = found.map((f) => f.id)
            if (trace.stuck.length > 0) ids.push('deadlock')
            assert.ok(ids.includes(finding.id), `${design.id}: ${finding.id} in ${ids.join(', ')}`)
          }
          assert.deepEqual(
            once.trace.steps.map((s) => [s.task, s.returned, s.findings]),
            direct.trace.steps.map((s) => [s.task, s.returned, s.findings]),
          )
        }
      }
    })
  }
})
