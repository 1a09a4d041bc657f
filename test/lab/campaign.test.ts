/** What the page is told of a campaign: on a queue, whose server may go, and from a file. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { UserError } from '../../src/app/error.js'
import { isStatus, QueueSeen, statusIn } from '../../src/lab/host/campaign.js'
import { NO_SERVER, RedisServer } from '../queue/server.js'
import { CAMPAIGN } from './browser.js'

const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-campaign-'))
after(() => rmSync(folder, { recursive: true }))

test('what `queue status --json` has written comes back as it was, or is refused', () => {
  const path = join(folder, 'status.json')
  const text = JSON.stringify(CAMPAIGN, undefined, 2)
  writeFileSync(path, text)
  assert.ok(isStatus(text) && isStatus(JSON.stringify(CAMPAIGN)))
  const { schema, ...rest } = CAMPAIGN
  assert.ok(isStatus(JSON.stringify({ ...rest, schema })))
  for (const other of [
    '{"runs": []}',
    `["${schema}"]`,
    `{"schema": "${schema}0"}`,
    text.slice(1),
  ]) {
    assert.ok(!isStatus(other), other)
  }
  assert.deepEqual(statusIn(path), { status: CAMPAIGN })
  for (const damaged of [text.slice(0, -9), text.replace('"done": 2', '"done": -2'), '{}']) {
    writeFileSync(path, damaged)
    assert.throws(() => statusIn(path), UserError)
  }
})

test('a server that goes is said, and what was seen last stays', {
  skip: NO_SERVER ?? false,
}, async () => {
  const server = await RedisServer.start()
  const seen = new QueueSeen(server.url, 1)
  const never = new QueueSeen(server.url, 1)
  try {
    await seen.look()
    const { status, trouble } = seen.now()
    assert.deepEqual([status?.runs, status?.workers, trouble], [[], [], undefined])
    await server.end()
    await seen.look()
    assert.match(seen.now().trouble ?? '', /no connection for 1 s/)
    assert.deepEqual(seen.now().status, status)
    await assert.rejects(never.look(), UserError)
    // A page that asks all the same is told.
    assert.match(never.now().trouble ?? '', /no connection for 1 s/)
  } finally {
    seen.close()
    never.close()
    await server.end()
  }
})
