/**
 * Every two calls beside each other, in several set-ups, on every design: `npm run pairs`. What is
 * found must be what was reviewed (`test/pairs/findings.txt`), no more and no less, and all that the
 * kernel touches must be announced. Arguments name
 * set-ups, if not all are wanted. With UPDATE_GOLDEN what is new goes to the end of the list, where
 * a reason is still to be given. `--queue redis://…` has workers answer; `--shard k/n` checks a part,
 * and writes it to the folder that `--parts` names; `--parts` alone judges all the parts in it.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { builtInDesigns } from '../src/app/host/designs.js'
import { check } from '../src/app/host/run.js'
import {
  commandKey,
  commandOf,
  isOf,
  merge,
  readShard,
  shardFile,
  writeShard,
} from '../src/app/host/shard.js'
import type { CellResult } from '../src/app/results.js'
import type { Verdict } from '../src/app/verdict.js'
import { ALL_CASES, scenarioOf } from '../test/pairs/family.js'
import {
  entriesFound,
  linesOf,
  parseReviewed,
  renderReviewed,
  revised,
  without,
} from '../test/pairs/reviewed.js'
import { SETUPS, type Setup } from '../test/pairs/setups.js'

const LIST = join(resolve(import.meta.dirname, '../..'), 'test/pairs/findings.txt')

/** Of the visited states of a cell; the largest needs less. */
const MOST_BYTES = 64 * 2 ** 20

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { queue: { type: 'string' }, shard: { type: 'string' }, parts: { type: 'string' } },
})
const { queue, parts } = values
const [, part, of] = /^([1-9]\d*)\/([1-9]\d*)$/.exec(values.shard ?? '')?.map(Number) ?? []
const shard = part === undefined || of === undefined ? undefined : { number: part, of }
if (values.shard !== undefined && (shard === undefined || shard.number > shard.of || !parts)) {
  throw new Error('--shard takes k/n with k from 1 to n, and needs --parts')
}
const unknown = wanted.filter((w) => !SETUPS.some((s) => s.name === w))
if (unknown.length > 0) {
  throw new Error(
    `no set-up: ${unknown.join(', ')}; there are ${SETUPS.map((s) => s.name).join(', ')}`,
  )
}
const setups = SETUPS.filter((s) => wanted.length === 0 || wanted.includes(s.name))
const cases = ALL_CASES.filter((c) => setups.includes(c.setup))
const begun = performance.now()
const seconds = (): string => `${((performance.now() - begun) / 1000).toFixed(0)} s`

const question = { asMet: true, undeclared: true }
const limits = { bytes: MOST_BYTES }

/** The cells of a set-up: checked here, asked on a queue, or put together from parts. */
async function judgedOf(setup: Setup): Promise<readonly CellResult[]> {
  const scenarios = cases.filter((c) => c.setup === setup).map(scenarioOf)
  const designs = builtInDesigns().filter((d) => setup.without?.[d.id] === undefined)
  const command = commandOf(scenarios, designs, { question, limits, format: 'pairs', named: false })
  if (parts !== undefined && shard === undefined) {
    const named = readdirSync(parts).filter((n) => n.startsWith(`${setup.name}.`))
    const paths = named.map((n) => join(parts, n))
    const { verdicts, command: answered } = merge(paths.map((p) => [p, readShard(p)]))
    if (commandKey(answered) !== commandKey(command)) {
      throw new Error(`${parts}: these are parts of other pairs than ${setup.name}`)
    }
    const all = scenarios.flatMap((file) => designs.map((design) => ({ file, design, hash: '' })))
    return all.map((c, i) => ({ ...c, verdict: verdicts[i] as Verdict }))
  }
  let told = performance.now()
  const results = await check({
    ...{ scenarios, designs, question, limits },
    only: shard && ((cell) => isOf(shard, cell)),
    answer: queue === undefined ? undefined : await onQueue(queue, setup.name),
    onNotice: say,
    onProgress: ({ done, total }) => {
      if (performance.now() < told + 10_000) return
      told = performance.now()
      say(`  ${setup.name}: ${done} of ${total} cells, ${seconds()}`)
    },
  })
  if (shard !== undefined && parts !== undefined) {
    mkdirSync(parts, { recursive: true })
    const name = `${setup.name}.${shard.number}-of-${shard.of}.json`
    writeShard(join(parts, name), shardFile(shard, command, results))
  }
  return results.cells
}

async function onQueue(url: string, what: string) {
  const { answerOnQueue } = await import('../src/app/host/queue/cell-answer.js')
  return answerOnQueue({ url, patience: 60, what: `pairs ${what}` })
}

const cells: CellResult[] = []
for (const setup of setups) {
  const judged = await judgedOf(setup)
  cells.push(...judged)
  const states = judged.reduce((sum, c) => sum + c.verdict.states, 0)
  const skipped = judged.filter((c) => c.verdict.proof === undefined).length
  say(
    `${setup.name}: ${judged.length} cells, ${states} states, ${skipped} without a set-up, ${seconds()}`,
  )
}

/** Hold what was found to the list, and say it. */
function judge(): void {
  const open = cells.filter(
    ({ verdict }) => verdict.proof !== undefined && verdict.proof !== 'exhaustive',
  )
  for (const { verdict } of open) {
    const why = verdict.unannounced?.join('; ') ?? 'not explored to its end'
    say(`${verdict.scenario} on ${verdict.design}: ${why}`)
  }

  const names = setups.map((s) => s.name)
  const { head, sections } = parseReviewed(readFileSync(LIST, 'utf8'))
  const all = sections.flatMap((s) => s.entries)
  const elsewhere = all.filter((e) => !names.includes(e.setup))
  const found = entriesFound(cases, cells)
  const fresh = without(found, all)
  const gone = without(all, [...elsewhere, ...found])
  const pairs = cases.filter((c) => c.actors.length === 2).length
  say(
    `${pairs} pairs, ${cells.length} cells, ${found.length} findings, ${sections.length} reasons, ${seconds()}`,
  )
  if (fresh.length > 0) say(['new:', ...linesOf(fresh)].join('\n'))
  if (gone.length > 0) say(['not found any more:', ...linesOf(gone)].join('\n'))
  if (process.env.UPDATE_GOLDEN !== undefined) {
    writeFileSync(LIST, renderReviewed(head, revised(sections, [...elsewhere, ...found])))
  }
  process.exitCode = fresh.length + gone.length + open.length > 0 ? 1 : 0
}

if (shard === undefined) judge()
