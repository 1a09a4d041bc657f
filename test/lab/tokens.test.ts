import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { before, describe, test } from 'node:test'
import { packagedFile } from '../../src/app/host/package.js'
import { Verdicts } from '../../src/lab/host/ship.js'
import type { Trace } from '../../src/trace/events.js'
import { PageWorker } from './page-worker.js'

/** Small ones, with findings of several kinds; the tests of the matrices have all that there are. */
const SAMPLE = {
  main: ['migration/guest-touch-vs-compaction', 'memory-failure/mapped-restricted-page'],
  snp: ['hosts/punch-of-a-mapped-page'],
}

/** What the command prints for programs. */
function replayed(token: string): Trace {
  const main = packagedFile('dist/src/cli/main.js')
  const printed = execFileSync(process.execPath, [main, 'replay', token, '--json'], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  return (JSON.parse(printed) as { trace: Trace }).trace
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe('the page and `replay --json` tell one story', () => {
  const tokens = new Map<string, string>()
  before(async () => {
    for (const [id, only] of Object.entries(SAMPLE)) {
      const verdicts = new Verdicts(new AbortController().signal, only, id)
      await verdicts.all()
      for (const { findings } of verdicts.now().cells) {
        for (const f of findings) tokens.set(`${id} ${f.id}`, f.token)
      }
    }
    assert.ok(tokens.size >= 4, [...tokens.keys()].join())
  })

  const told = (worker: PageWorker, token: string): Trace =>
    plain(worker.story(token).own.trace) as Trace

  test('of each kind of finding: steps, functions, changes and final state', () => {
    const worker = new PageWorker()
    for (const [kind, token] of tokens) {
      assert.deepEqual(told(worker, token), replayed(token), `${kind}: ${token}`)
    }
  })
})
