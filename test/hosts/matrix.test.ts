/** The cells of all hosts as a golden file, and what a host must not cost where it is off. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { builtInScenarios, hostScenarios } from '../../src/app/host/scenarios.js'
import type { Verdict } from '../../src/app/verdict.js'
import type { Design } from '../../src/designs/design.js'
import { replayScenario } from '../../src/explore/tell/replay.js'
import { HOST_IDS, MACHINE_OF } from '../../src/hosts/host.js'
import { designNamed, designsOn } from '../../src/hosts/index.js'
import { renderThread } from '../../src/report/thread.js'
import { assertToldAlike, PageWorker } from '../lab/page-worker.js'

const GOLDEN = join(resolve(import.meta.dirname, '../../..'), 'test/hosts/matrix.golden.txt')

const effort = { bound: undefined, keepGoing: () => true, now: () => 0 }

/**
 * Where a machine comes in versions, v10 and upm-aops-repaired show what upm and upm-aops show, as a
 * rule; they are left to `check --host`.
 */
function isHere({ id, host }: Design): boolean {
  const versions = HOST_IDS.filter((h) => MACHINE_OF[h] === host?.machine)
  return versions.length < 2 || !/^(v10|upm-aops-repaired)@/.test(id)
}

const files = hostScenarios()
const cells = files.flatMap(({ scenario, text }) =>
  scenario.hosts.flatMap((host) =>
    designsOn(host)
      .filter(isHere)
      .map((design) => ({ scenario, text, design })),
  ),
)
const all = cells.map((c) => checkScenario(c.scenario, c.design, effort))
/** What a scenario says nothing about is no cell. */
const verdicts = all.filter((v) => v.verdict !== 'skipped')

/** One line for a cell: what is claimed, by what proof, with how few preemptions. */
function line(v: Verdict): string {
  const found = v.findings.map((f) => `${f.first ? '' : '+'}${f.id}@${f.preemptions}`)
  return [v.scenario, v.design, v.verdict, v.proof ?? '-', ...found].join(' ')
}

test('every verdict of the hosts is the reviewed one', () => {
  const now = `${verdicts.map(line).join('\n')}\n`
  if (process.env.UPDATE_GOLDEN !== undefined) writeFileSync(GOLDEN, now)
  assert.equal(now, readFileSync(GOLDEN, 'utf8'))
})

test('every cell of every host is exhaustive, and as its scenario expects', () => {
  for (const v of verdicts) {
    assert.equal(v.proof, 'exhaustive', `${v.scenario} on ${v.design}: ${v.reason}`)
    assert.equal(v.asExpected, true, `${v.scenario} on ${v.design}: ${v.reason}`)
  }
})

/** A cell of the table that is none of a host's. */
function checkedNow(scenario: string, design: string): Verdict {
  const file = builtInScenarios().find((f) => f.scenario.name === scenario)
  return checkScenario(file!.scenario, designNamed(design)!, effort)
}

test("the README's table of the thread is what the cells say", () => {
  const text = renderThread(
    ({ scenario, design }) =>
      verdicts.find((v) => v.scenario === scenario && v.design === design) ??
      checkedNow(scenario, design),
  )
  const readme = join(resolve(import.meta.dirname, '../../..'), 'README.md')
  const now = readFileSync(readme, 'utf8').replace(
    /(<!-- thread -->\n```\n)[\s\S]*?(\n```\n<!-- \/thread -->)/,
    (_, open: string, close: string) => open + text + close,
  )
  if (process.env.UPDATE_GOLDEN !== undefined) writeFileSync(readme, now)
  assert.equal(readFileSync(readme, 'utf8'), now)
  assert.ok(now.includes(text))
})

test('the schedule of a finding leads to it again, on both ways of running', () => {
  all.forEach((v, i) => {
    const { scenario, design } = cells[i]!
    for (const finding of v.findings) {
      if (finding.id === 'livelock') continue
      for (const mode of ['lowered', 'direct'] as const) {
        const { trace, divergence } = replayScenario(scenario, design, finding.schedule, mode)
        assert.equal(divergence, undefined)
        const ids = trace.steps.flatMap((s) => s.findings.map((f) => f.id))
        if (trace.stuck.length > 0) ids.push('deadlock')
        assert.ok(ids.includes(finding.id), `${v.scenario} on ${v.design}: ${finding.id}`)
      }
    }
  })
})

// All of them are for `npm run lab:parity`: each costs a replay in both.
test('the page tells a finding of each kind on each host as the command does', () => {
  const page = new PageWorker()
  const told = new Set<string>()
  all.forEach((v, i) => {
    const cell = cells[i]!
    for (const finding of v.findings) {
      const kind = `${finding.id} ${cell.design.host}`
      if (!told.has(kind)) assertToldAlike(page, cell, cell.design, finding)
      told.add(kind)
    }
  })
})
