/** A check in shards: merged, they say what one check says; whatever is wrong with one is told. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, test } from 'node:test'
import { UserError } from '../../src/app/error.js'
import { resolveDesigns } from '../../src/app/host/designs.js'
import { merged } from '../../src/app/host/merged.js'
import { check } from '../../src/app/host/run.js'
import { readScenarios } from '../../src/app/host/scenarios.js'
import {
  commandOf,
  designOf,
  isOf,
  merge,
  readShard,
  type ShardFile,
  shardFile,
  writeShard,
} from '../../src/app/host/shard.js'
import type { LoadedDesign, Results } from '../../src/app/results.js'
import { PLAIN_LOOK } from '../../src/report/format.js'
import { formatNamed, formatNames } from '../../src/report/host/formats.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const MAIN = join(ROOT, 'dist/src/cli/main.js')
const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-shard-'))
after(() => rmSync(folder, { recursive: true }))
/** So that a second check of a cell took as long as the first. */
process.env.XDG_CACHE_HOME = join(folder, 'cache')

const SHARDS = 3
const designs = await resolveDesigns(['v10', 'upm', 'gmem-6.18', 'upm-aops'])
const scenarios = readScenarios([
  'size/truncate-to-the-same-size',
  'seals/get-seals-of-anything-on-tmpfs',
])
const request = { scenarios, designs }
await check(request)
const one = await check(request)
const command = commandOf(scenarios, designs, {
  question: {},
  limits: {},
  format: 'text',
  named: true,
})
const paths: string[] = []
for (let number = 1; number <= SHARDS; number++) {
  const shard = { number, of: SHARDS }
  const part = await check({ ...request, only: (cell) => isOf(shard, cell) })
  const path = join(folder, `${number}.json`)
  writeShard(path, shardFile(shard, command, part))
  paths.push(path)
}

/** Without stories: they are told of what is there before it is rendered. */
async function rendered(name: string, results: Results): Promise<string> {
  const format = await formatNamed(name)
  return format.render(results, new Map(), PLAIN_LOOK)
}

describe('merged, shards say what one check says', () => {
  for (const name of formatNames()) {
    test(`as ${name}, in whatever order they are named`, async () => {
      const { results } = await merged(paths.toReversed(), [])
      const { seconds } = one
      assert.equal(await rendered(name, { ...results, seconds }), await rendered(name, one))
    })
  }

  test('on the command line, with the exit code', () => {
    const run = (...args: string[]) => {
      const all = [MAIN, ...args]
      const { status, stdout } = spawnSync(process.execPath, all, { cwd: folder, encoding: 'utf8' })
      return { status, out: stdout.replaceAll(/\d+\.\d s/g, '0.0 s') }
    }
    const words = ['check', 'size/truncate-to-the-same-size', '-d', 'v10', '-d', 'upm']
    assert.deepEqual(run(...words, '--shard', '1/2'), { status: 0, out: '' })
    assert.deepEqual(run(...words, '--shard', '2/2', '--result', 'second.json'), {
      status: 0,
      out: '',
    })
    assert.deepEqual(run('merge', 'second.json', 'shard-1-of-2.json'), run(...words))
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith('.new')),
      [],
    )
  })
})

describe('shards are refused', () => {
  const [first, second, third] = paths as [string, string, string]
  const changed = (change: Partial<ShardFile>, of = third): string => {
    const path = join(folder, 'changed.json')
    writeShard(path, { ...readShard(of), ...change })
    return path
  }
  const refused = (says: RegExp, ...files: string[]): void => {
    assert.throws(
      () => merge(files.map((p) => [p, readShard(p)])),
      (e) => e instanceof UserError && says.test(e.message),
    )
  }

  test('when one is missing, or there twice', () => {
    refused(/of 3 shards these are missing: 2$/, first, third)
    refused(/are both shard 1 of 3/, first, first, second, third)
  })
  test('when they are of another command, or another code', () => {
    const other = { ...command, question: { bound: 1 } }
    refused(/not shards of the same command/, first, second, changed({ command: other }))
    refused(/another version of the code/, first, second, changed({ code: '0123456789abcdef' }))
  })
  test('when a cell is missing, or another shard has it', () => {
    refused(/no shard has cell 3 of 8/, first, second, changed({ verdicts: [] }))
    refused(/is none of shard 3/, first, second, changed({ verdicts: readShard(first).verdicts }))
  })
  test('when the file is cut off, damaged, or no shard', () => {
    const text = readFileSync(first, 'utf8')
    const path = join(folder, 'damaged.json')
    const damages: [string, RegExp][] = [
      [text.slice(0, -100), /cut off or damaged/],
      [text.replace('"states":', '"states":1'), /cut off or damaged/],
      ['{}', /no result of a shard/],
      ['', /no result of a shard/],
    ]
    for (const [damaged, says] of damages) {
      writeFileSync(path, damaged)
      refused(says, path, second, third)
    }
    refused(/no such file/, join(folder, 'nothing.json'))
  })
  test('when a design of the user is not named, or not what it was', () => {
    const mine = { id: 'mine', path: './mine.ts', identity: '0'.repeat(64) }
    assert.throws(
      () => designOf(mine, designs),
      /the design "mine": say where it is with -d .\/mine/,
    )
    const other = { ...(designs[0] as LoadedDesign), id: 'mine', identity: 'another text' }
    assert.throws(() => designOf(mine, [other]), /is not as it was when the shards were checked/)
  })
})
