/** The running kernel as an oracle: the same programs, the same answers, whatever happens to it. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { builtInTranscripts, readTranscript } from '../../src/app/host/transcripts.js'
import { firstDifference } from '../../src/conform/compare.js'
import { type Family, generate } from '../../src/conform/generate.js'
import type { Op } from '../../src/conform/program.js'
import { isModelled, withOracle } from './host.js'

const programs = (family: Family, count: number): Op[][] =>
  Array.from({ length: count }, (_, i) => generate(family, 7_000_000 + i))

for (const path of builtInTranscripts().filter((p) => basename(p).startsWith('linux-6.18-'))) {
  const family = /6\.18-(\w+)/.exec(basename(path))?.[1] as Family
  test(`the running kernel answers as recorded in ${basename(path)}`, (t) =>
    withOracle(t, family, async (oracle) => {
      if (!(await isModelled(t, oracle))) return
      const { programs } = readTranscript(path)
      const results = await oracle.run(programs.map((p) => p.ops))
      const differing = programs.filter((p, i) => firstDifference(p.res, results[i] ?? []) >= 0)
      assert.deepEqual(
        differing.map((p) => p.seed),
        [],
      )
    }))
}

for (const family of ['memfd', 'guest_memfd', 'secretmem'] as const) {
  test(`${family}: a program gives the same results twice`, (t) =>
    withOracle(t, family, async (oracle) => {
      const some = programs(family, 100)
      assert.deepEqual(await oracle.run(some), await oracle.run(some))
    }))
}

/** Descriptors and maps of a process. */
const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

test('programs leave no descriptor behind', (t) =>
  withOracle(t, 'memfd', async (oracle) => {
    await oracle.run(programs('memfd', 10))
    const before = openFiles(oracle.pid)
    await oracle.run([...programs('memfd', 100), ...programs('guest_memfd', 20)])
    assert.equal(openFiles(oracle.pid), before)
  }))

test('secretmem: its byte is there through its map and by no other way', (t) =>
  withOracle(t, 'secretmem', async (oracle) => {
    const ops: Op[] = [
      ['memfd_secret', 0],
      ['ftruncate', 0, 4096],
      ['mmap', 0, 3, 1, 4096, 0],
      ['store', 0, 5, 99],
      ['load', 0, 5],
      ['pread', 0, 0, 1],
      ['ftruncate', 0, 8192],
      ['mmap', 0, 3, 2, 4096, 0],
      ['fcntl_add_seals', 0, 1],
    ]
    const [results = []] = await oracle.run([ops])
    assert.deepEqual(
      results.map((r) => r.r),
      ['fd', 0, 'map', 1, 99, '-ESPIPE', '-EINVAL', '-EINVAL', '-EINVAL'],
    )
  }))

test('a worker that is killed is replaced, and every program is answered', (t) =>
  withOracle(t, 'memfd', async (oracle) => {
    const some = programs('memfd', 200)
    const expected = await oracle.run(some)
    for (const delay of [0, 1, 5, 20]) {
      const victim = oracle.pid
      const answer = oracle.run(some)
      await sleep(delay)
      process.kill(victim, 'SIGKILL')
      assert.deepEqual(await answer, expected, `killed after ${delay} ms`)
      // It may have been through by then; whoever runs the next programs is another.
      assert.deepEqual(await oracle.run(some), expected)
      assert.notEqual(oracle.pid, victim)
    }
    process.kill(oracle.pid, 'SIGKILL')
    await sleep(50)
    assert.deepEqual(await oracle.run(some), expected, 'killed while idle')
  }))

test('a program during which the worker dies has the signal as its result', (t) =>
  withOracle(t, 'memfd', async (oracle) => {
    process.kill(oracle.pid, 'SIGSTOP')
    const answer = oracle.run([[['memfd_create', 0]]])
    process.kill(oracle.pid, 'SIGSEGV')
    process.kill(oracle.pid, 'SIGCONT')
    assert.deepEqual(await answer, [[{ r: 'SIGSEGV' }]])
  }))

test('a program that does not end is given up', (t) =>
  withOracle(
    t,
    'memfd',
    async (oracle) => {
      const victim = oracle.pid
      process.kill(victim, 'SIGSTOP')
      assert.deepEqual(await oracle.run([[['memfd_create', 0]]]), [[{ r: 'timeout' }]])
      assert.throws(() => process.kill(victim, 0), 'the process is gone')
      assert.equal((await oracle.run([[['memfd_create', 0]]]))[0]?.[0]?.r, 'fd')
    },
    { programLimit: 300 },
  ))
