/** A real guest on real guest_memfd memory, beside the model's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GUEST_STORY } from '../../src/conform/generate-guest.js'
import { Model } from '../../src/conform/model.js'
import { isModelled, withOracle } from './host.js'

test('a real guest and the model’s see the same after every event', (t) =>
  withOracle(t, 'guest', async (oracle) => {
    if (!(await isModelled(t, oracle))) return
    const [real] = await oracle.run([GUEST_STORY])
    assert.deepEqual(new Model('6.18').run(GUEST_STORY), real)
  }))

test('a guest that runs while its page is punched never sees a byte from before', (t) =>
  withOracle(t, 'guest', async (oracle) => {
    const race = await oracle.race(500)
    assert.deepEqual(race.impossible, [])
    assert.ok(race.punches > 20, `${race.punches} punches`)
  }))

test('without a guest of its own a program may not ask for one at its code', (t) =>
  withOracle(t, 'guest', async (oracle) => {
    assert.match(oracle.refuses([['run', 0]]) ?? '', /64 KiB/)
    assert.match(
      oracle.refuses([
        ['kvm_set_user_memory_region2', 0, 4, 0, 4096, 0, 0],
        ['run', 65536],
      ]) ?? '',
      /below 64 KiB/,
    )
  }))
