/** Random programs by way of a queue: the kernel of a worker's machine says what this one says. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { differential } from '../../src/conform/differential.js'
import { Model, profileOf } from '../../src/conform/model.js'
import { runElsewhere } from '../../src/live/elsewhere.js'
import { withOracle } from '../live/host.js'
import { NO_SERVER, RedisServer } from './server.js'

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.js')
const RANGE = { family: 'memfd', first: 1, count: 250 } as const

test('a worker runs programs on its kernel', { skip: NO_SERVER ?? false }, (t) =>
  withOracle(t, 'memfd', async (oracle) => {
    const capabilities = await oracle.probe()
    const model = new Model(profileOf(capabilities.release).profile)
    const here = { programs: 0, calls: 0, seeds: [] as number[] }
    for await (const b of differential('memfd', RANGE.first, RANGE.count, oracle, model)) {
      here.programs += b.programs.length
      here.calls += b.programs.reduce((sum, p) => sum + p.res.length, 0)
      here.seeds.push(...b.differences.map((d) => d.program.seed))
    }
    const server = await RedisServer.start()
    const args = [MAIN, 'worker', '--live', '--workers', '1', '--queue', server.url]
    const worker = spawn(process.execPath, args, { stdio: 'ignore' })
    try {
      const { signal } = new AbortController()
      const { programs, calls, differences } = await runElsewhere(
        ...([RANGE, capabilities, oracle, model] as const),
        { url: server.url, patience: 60, signal, onNotice: () => {}, onProgress: () => {} },
      )
      const seeds = differences.map((d) => d.program.seed)
      assert.deepEqual({ programs, calls, seeds }, here)
      worker.kill('SIGTERM')
      assert.deepEqual(await once(worker, 'exit'), [143, null])
    } finally {
      worker.kill('SIGKILL')
      await server.end()
    }
  }),
)
