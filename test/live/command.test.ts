/** `conform --live` on hosts that lack something, and when somebody kills it. */
import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readTranscript } from '../../src/app/host/transcripts.js'
import { withOracle } from './host.js'

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.js')
const ORACLE = resolve(import.meta.dirname, '../../src/live/oracle.js')
const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-live-'))
after(() => rmSync(folder, { recursive: true }))

const isRoot = process.getuid?.() === 0
const few = ['conform', '--live', '--count', '20']

function run(command: string, args: readonly string[], env = {}): SpawnSyncReturns<string> {
  return spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...env } })
}

const conform = (...args: string[]): SpawnSyncReturns<string> =>
  run(process.execPath, [MAIN, ...args])

test('--probe names what there is', (t) =>
  withOracle(t, 'memfd', async () => {
    const { status, stdout } = conform('conform', '--probe')
    assert.equal(status, 0)
    assert.match(stdout, /^kernel +Linux \d+\.\d+/)
    assert.match(stdout, /^\/dev\/kvm +\S/m)
    assert.match(stdout, /^family memfd +can run$/m)
  }))

test('without koffi it says so and ends with 4; recordings still run', () => {
  const hook = join(folder, 'no-koffi.cjs')
  writeFileSync(
    hook,
    `const m = require('module'); const f = m._resolveFilename
     m._resolveFilename = function (name, ...rest) {
       if (name === 'koffi') throw new Error("Cannot find module 'koffi'")
       return f.call(this, name, ...rest)
     }`,
  )
  const env = { NODE_OPTIONS: `--require ${hook}` }
  const live = run(process.execPath, [MAIN, ...few], env)
  assert.equal(live.status, 4)
  assert.match(live.stdout, /^skipped: the optional package koffi cannot be loaded/)
  const ktap = run(process.execPath, [MAIN, ...few, '--ktap'], env)
  assert.match(ktap.stdout, /^KTAP version 1\n1\.\.0 # SKIP /)
  const list = run(process.execPath, [MAIN, 'list', 'findings'], env)
  assert.equal(list.status, 0)
})

test('an unknown family is answered with the nearest, a recording of two is refused', () => {
  const unknown = conform(...few, '--family', 'memdf')
  assert.equal(unknown.status, 2)
  assert.match(unknown.stderr, /no family "memdf".*memfd/s)
  const both = conform(...few, '--record', join(folder, 'x.jsonl'))
  assert.equal(both.status, 2)
  assert.match(both.stderr, /--family/)
})

test('what is recorded is a transcript that the kernel agrees with', (t) =>
  withOracle(t, 'memfd', async (oracle) => {
    const path = join(folder, 'recorded.jsonl')
    conform(...few, '--family', 'memfd', '--seed', '77', '--record', path)
    const { programs, family, kernel } = readTranscript(path)
    assert.match(kernel, /^\d+\.\d+(\.\d+)?$/)
    assert.equal(family, 'memfd')
    assert.equal(programs.length, 20)
    const again = await oracle.run(programs.map((p) => p.ops))
    assert.deepEqual(
      again,
      programs.map((p) => p.res),
    )
  }))

test('another user is told what is missing, and the rest runs', (t) => {
  if (!isRoot) return t.skip('only root can become somebody else')
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath]
  if (run('setpriv', [...nobody, '-e', `require('fs').readFileSync('${MAIN}')`]).status !== 0) {
    return t.skip('another user cannot read this folder, or there is no setpriv')
  }
  const { stdout, status } = run('setpriv', [...nobody, MAIN, ...few])
  assert.match(stdout, /guest_memfd +skipped: (there is no \/dev\/kvm|.* may not be opened)/)
  assert.match(stdout, /memfd +20 programs/)
  assert.notEqual(status, 3)
  const only = run('setpriv', [...nobody, MAIN, ...few, '--family', 'guest_memfd'])
  assert.equal(only.status, 4)
})

test('a host without /dev/kvm skips guest_memfd and ends with 4 if that was all', (t) => {
  if (!isRoot) return t.skip('only root can have a /dev of its own')
  const dev = `mount -t tmpfs none ${folder} && mknod ${folder}/null c 1 3 && mount --move ${folder} /dev`
  const args = ['-m', 'sh', '-c', `${dev} && exec "$0" "$@"`, process.execPath, MAIN, ...few]
  const { stdout, status } = run('unshare', [...args, '--family', 'guest_memfd'])
  if (stdout === '') return t.skip('no mount namespace can be made here')
  assert.match(stdout, /guest_memfd +skipped: there is no \/dev\/kvm/)
  assert.equal(status, 4)
})

test('a process that may open few files is told how many it needs', () => {
  const script = `ulimit -n 110 && exec "$0" "$@"`
  const { stdout, status } = run('sh', ['-c', script, process.execPath, MAIN, ...few])
  assert.match(
    stdout,
    /skipped: (a process may open 110 files here; 128 are needed|.*koffi|this is)/,
  )
  assert.equal(status, 4)
})

/** Whether a process is there and no zombie. */
function isAlive(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false
  return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}

test('kill -9 of the parent leaves no process and no file', (t) =>
  withOracle(t, 'memfd', async () => {
    const script = join(folder, 'parent.mjs')
    writeFileSync(
      script,
      `const { Oracle } = await import(${JSON.stringify(ORACLE)})
       const oracle = await Oracle.start()
       console.log(oracle.pid)
       const busy = Array.from({ length: 500 }, () => [['memfd_create', 0], ['pwrite', 0, 0, 65536, 1],
         ['mmap', 0, 3, 1, 65536, 0], ['store', 0, 4096, 1]])
       for (;;) await oracle.run(busy)`,
    )
    for (const delay of [0, 30, 100]) {
      const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
      const [line] = (await once(parent.stdout, 'data')) as [Buffer]
      const child = Number(line.toString())
      await sleep(delay)
      parent.kill('SIGKILL')
      await once(parent, 'exit')
      for (let i = 0; i < 100 && isAlive(child); i++) await sleep(20)
      assert.ok(!isAlive(child), `the worker is gone when its parent is killed after ${delay} ms`)
    }
    assert.deepEqual(
      readdirSync(folder).filter((f) => !/parent|no-koffi|recorded/.test(f)),
      [],
    )
  }))

test('the user can stop it: what there is is printed, 130, and nothing goes on', async (t) => {
  await withOracle(t, 'memfd', async () => {
    const args = [MAIN, 'conform', '--live', '--count', '100000000', '--family', 'memfd']
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString()
    })
    while (!out.includes('Linux')) await sleep(20)
    await sleep(300)
    child.kill('SIGINT')
    const [code] = (await once(child, 'exit')) as [number]
    assert.equal(code, 130)
    assert.match(out, /memfd +\d+ programs/)
  })
})
