/** The fuzzer by way of a queue finds what it finds on one machine. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { askAll } from '../../src/app/host/queue/ask.js'
import { serve } from '../../src/app/host/queue/serve.js'
import { added, FUZZERS, lineOf } from '../fuzz/fuzzers.js'
import { FUZZ, rangesOf } from '../fuzz/queue.js'
import { ASK, SERVE } from './echo.js'
import { NO_SERVER, RedisServer } from './server.js'

test('jobs share no seed, and are as many tries as are wanted', () => {
  const ranges = rangesOf('scenarios', 100, 2001)
  assert.equal(
    ranges.reduce((sum, r) => sum + r.count, 0),
    2001,
  )
  for (const [i, r] of ranges.entries()) {
    const next = ranges[i + 1]
    if (next !== undefined) assert.ok(r.first + r.count <= next.first)
  }
})

describe('on a queue', { skip: NO_SERVER ?? false }, () => {
  let server: RedisServer
  before(async () => {
    server = await RedisServer.start()
  })
  after(() => server.end())

  test('all ranges are tried', async () => {
    const end = new AbortController()
    const worker = serve(FUZZ, { ...SERVE, threads: 1, url: server.url, signal: end.signal })
    const ranges = rangesOf('tokens', 41, 6)
    const { answers } = await askAll(FUZZ, ranges, new Map(), {
      ...{ ...ASK, url: server.url, signal: end.signal },
      onAnswer: () => {},
    })
    end.abort()
    await worker
    const counts = added(answers.flatMap((a) => (a === undefined ? [] : [a.counts])))
    assert.equal(counts.tokens, 6, lineOf(counts))
    assert.ok(answers.every((a) => a?.failed === 0))
  })

  test('a fuzzer that there is not is no job', () => {
    assert.ok(!FUZZERS.has('dice'))
    assert.throws(() => FUZZ.readAsked({ fuzzer: 'dice', first: 1, count: 1 }, 'job'), /scenarios/)
  })
})
