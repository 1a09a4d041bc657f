/** The command line as a user meets it: what it prints, and with what code it ends. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, test } from 'node:test'
import type { Question } from '../../src/app/ask.js'
import { UserError } from '../../src/app/error.js'
import { resolveDesign, resolveDesigns } from '../../src/app/host/designs.js'
import { check } from '../../src/app/host/run.js'
import { readScenarios } from '../../src/app/host/scenarios.js'
import { decodeToken, encodeToken } from '../../src/app/token.js'
import type { Verdict } from '../../src/app/verdict.js'
import { exitCodeOf } from '../../src/cli/exit-codes.js'
import { DESIGNS } from '../../src/designs/index.js'
import { endless } from './endless.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const MAIN = join(ROOT, 'dist/src/cli/main.js')
const RACE = 'migration/guest-touch-vs-compaction'
const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-test-'))
after(() => rmSync(folder, { recursive: true }))
/** Verdicts of these runs stay among them. */
process.env.XDG_CACHE_HOME = folder

function run(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  assert.doesNotMatch(stderr, /\n {4}at /, 'no stack trace')
  return { code: status, out: stdout, err: stderr }
}

/** What the command prints, before it is printed: one scenario on one design. */
async function verdictOf(
  design: string,
  name: string,
  more: { question?: Question; workers?: number; memory?: number } = {},
): Promise<Verdict> {
  const designs = await resolveDesigns([design])
  const { question = {}, workers, memory } = more
  const { cells } = await check({
    scenarios: readScenarios(
      [name],
      designs.map((d) => d.id),
    ),
    designs,
    question,
    workers,
    limits: { bytes: memory },
    cache: false,
  })
  return cells[0]?.verdict as Verdict
}

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const scenario = (expect: string, body = ''): string => `litmus own/scenario
"A question?"
setup
  fd = memfd_create()
  pwrite(fd, offset=0, length=1, byte=1) == 1
task mce
  r0 = memory_failure(fd, page=0)
${body}
expect
  ${expect}
`

function tokenOf(design: string): string {
  const { out } = run('check', '--json', '-d', design, RACE)
  return JSON.parse(out).results[0].findings[0].token
}

describe('check ends with the code of the contract', () => {
  test('0 when all is as expected', () => {
    const { code, out } = run('check', '-d', 'upm', RACE)
    assert.equal(code, 0)
    assert.match(out, /stale-secondary-mapping/)
    assert.match(out, /exhaustive: \d+ states/)
    assert.match(out, /kcompactd:r1=-EAGAIN/)
  })
  const codeOf = async (design: string, path: string): Promise<number> =>
    exitCodeOf([await verdictOf(design, path)])

  test('10 for a finding that is not expected, 13 for one that did not appear', async () => {
    assert.equal(run('check', '-d', 'upm', file('a.litmus', scenario('* clean'))).code, 10)
    const missing = file('b.litmus', scenario('* finds null-dereference'))
    assert.equal(await codeOf('upm-aops', missing), 13)
  })
  test('11 for a deadlock that is not expected', async () => {
    const text = `litmus own/stuck\n"?"\nsetup\n  vm = kvm_create_vm()\n  fd = private_memory(vm, 1P)
  bind(vm, slot=0, gpa=0, size=1P, fd=fd)\n  set_attributes(vm, gpa=0, size=1P, PRIVATE)
  guest_write(vm, gpa=0, 1)\ntask t\n  offline_memory(fd)\nexpect\n  * clean\n`
    assert.equal(await codeOf('upm-aops', file('c.litmus', text)), 11)
  })
  test('4 when everything is skipped', async () => {
    assert.equal(await codeOf('upm', file('d.litmus', scenario('* skip "why not"'))), 4)
  })
  test('20 when a bound was hit', () => {
    const { code, out } = run('check', '--bound', '0', '-d', 'upm-aops', RACE)
    assert.equal(code, 20)
    assert.match(out, /bounded, at most 0 preemptions/)
  })
  test('21 when a reach mark never fired', async () => {
    const text = scenario('* clean', 'reach slot-deleted')
    assert.equal(await codeOf('upm-aops', file('e.litmus', text)), 21)
  })
  test('21 when a condition that is said to hold sometimes never does', async () => {
    const never = scenario('* clean', 'sometimes mce:r0 == -ENXIO')
    const verdict = await verdictOf('upm-aops', file('s.litmus', never))
    assert.equal(exitCodeOf([verdict]), 21)
    assert.equal(verdict.reason, 'never reached: mce:r0 == -ENXIO')
    const holds = scenario('* clean', 'sometimes mce:r0 == 0')
    assert.equal(await codeOf('upm-aops', file('t.litmus', holds)), 0)
  })
  test('12 when a set-up goes wrong, with the reason', async () => {
    const wrong = scenario('* clean').replace('== 1', '== 2')
    const verdict = await verdictOf('upm', file('f.litmus', wrong))
    assert.equal(verdict.verdict, 'failed')
    assert.equal(exitCodeOf([verdict]), 12)
    assert.match(verdict.reason ?? '', /the set-up fails: unexpected-result: pwrite/)
  })
})

describe('bad input gets a message and code 2', () => {
  const refused = (says: RegExp, ...args: string[]): void => {
    const { code, err } = run(...args)
    assert.equal(code, 2)
    assert.match(err.replace(/\s+/g, ' '), says)
  }
  test('an unknown command, design or scenario, with the nearest match', () => {
    refused(/no command "chek"\. Did you mean "check"/, 'chek')
    refused(/no design "upmm"\. Did you mean "upm"/, 'check', '-d', 'upmm', RACE)
    refused(/no such file or scenario\. Did you mean "migration\/guest/, 'check', `${RACE}s`)
  })
  test('a broken litmus file, with line, column and caret', () => {
    const path = file('broken.litmus', 'litmus a/b\n"q"\ntask t\n  close(fd\n')
    const { code, err } = run('check', path)
    assert.equal(code, 2)
    assert.match(err, /broken\.litmus:4:11: expected/)
    assert.match(err, /\n {4}close\(fd\n +\^/)
  })
  test('a directory, or a file that is none', () => {
    const empty = join(folder, 'empty')
    mkdirSync(empty)
    refused(/no \.litmus files/, 'check', empty)
    refused(/no such file/, 'check', join(folder, 'nothing.litmus'))
  })
  test('a token that is foreign, cut off or damaged', () => {
    refused(/no replay token/, 'replay', 'hello')
    refused(/cut off/, 'replay', 'rm2.b.upm')
    const token = tokenOf('upm')
    refused(/damaged/, 'replay', token.replace(/.$/, token.endsWith('A') ? 'B' : 'A'))
  })
  test('a number that is none', () => refused(/whole number/, 'check', '--bound', 'x', RACE))
})

const DESIGN = (body: string): string => `
import { fn, type Kernel, replace } from 'restrictedmem/machine/fn.js'
import { mutexLock, mutexUnlock } from 'restrictedmem/machine/locks.js'
import { mmState } from 'restrictedmem/kernel/include/mm.js'
import { sysFsync } from 'restrictedmem/kernel/fs/sync.js'
import { defineDesign } from 'restrictedmem/designs/design.js'
import { upm } from 'restrictedmem/designs/upm.js'
const mine = fn(function* fsync(fd: number): Kernel<number> {
${body}
})
export const design = defineDesign({
  id: 'mine', summary: 'A test.', base: upm, cite: [], replaces: [replace(sysFsync, mine)],
})
`

describe('a design of the user', () => {
  test('is checked like a built-in one, wherever it lies', () => {
    const path = file('mine.ts', DESIGN('  return fd'))
    const { code, out } = run('check', '-d', path, 'punch/punch-vs-guest-fault')
    assert.equal(code, 0)
    assert.match(out, /on mine: clean, as expected/)
  })
  test('the three examples say what docs/designs.md says of them', async () => {
    const of = (name: string): Promise<Verdict> => verdictOf(join(ROOT, 'examples', name), RACE)
    assert.equal((await of('kirill.ts')).verdict, 'clean')
    assert.equal((await of('sean.ts')).verdict, 'clean')
    const wrong = await of('wrong.ts')
    assert.equal(exitCodeOf([wrong]), 10)
    assert.equal(wrong.findings[0]?.id, 'stale-secondary-mapping')
  })
  test('is named by a scenario that is read with it', async () => {
    const text = 'litmus own/named\n"A question?"\ntask t\n  fsync(-1)\nexpect\n  kirill  clean\n'
    const path = file('named.litmus', text)
    const { asExpected } = await verdictOf(join(ROOT, 'examples/kirill.ts'), path)
    assert.equal(asExpected, true)
    assert.match(run('check', path).err, /there is no design "kirill"/)
  })
  test('outside the subset is refused with file, line, column and reason', () => {
    const path = file(
      'try.ts',
      DESIGN(
        '  try {\n    yield* mutexLock(mmState().mfMutex)\n  } finally {\n    mutexUnlock(mmState().mfMutex)\n  }\n  return fd',
      ),
    )
    const { code, err } = run('check', '-d', path, RACE)
    assert.equal(code, 2)
    assert.match(
      err.replace(/\s+/g, ' '),
      /try\.ts:9:3: a TryStatement cannot contain or span a yield/,
    )
  })
  const refused = (path: string, says: RegExp): Promise<void> =>
    assert.rejects(resolveDesign(path), (error) => {
      assert.ok(error instanceof UserError)
      assert.match(error.message, says)
      return true
    })
  test('a local that cannot live across a yield is named with its type', async () => {
    const body =
      '  const list = [fd]\n  yield* mutexLock(mmState().mfMutex)\n  mutexUnlock(mmState().mfMutex)\n  return list.length'
    await refused(
      file('array.ts', DESIGN(body)),
      /array\.ts:9:9: list is a number\[\] and would live across a yield/,
    )
  })
  test('a type error is told like the compiler does', async () => {
    await refused(file('type.ts', DESIGN("  return 'text'")), /type\.ts:\d+:\d+: /)
  })
  test('a file that exports no design, or is not there', async () => {
    await refused(file('none.ts', 'export const x = 1\n'), /exports no `design`/)
    await refused('./nowhere.ts', /no such file/)
  })
})

describe('several workers on one cell', () => {
  for (const [design, name] of [
    ['upm', RACE],
    ['upm-aops', 'punch/punch-vs-guest-fault'],
    ['upm-aops', 'hotplug/offline-a-block-of-restricted-pages'],
  ] as const) {
    test(`say what one says: ${name}`, async () => {
      const facts = async (workers: number): Promise<object> => {
        const v = await verdictOf(design, name, { workers })
        const found = v.findings.map((f) => [f.id, f.preemptions, f.first])
        const { verdict, states, executions, asExpected, proof } = v
        return { verdict, states, executions, found, asExpected, proof }
      }
      assert.deepEqual(await facts(2), await facts(1))
    })
  }

  test('go on with a larger table, or say that there is no room', async () => {
    const of = (mebibytes: number): Promise<Verdict> =>
      verdictOf('upm', 'migration/anonymous-page-vs-compaction', {
        workers: 2,
        memory: mebibytes * 2 ** 20,
      })
    assert.equal((await of(4096)).proof, 'exhaustive')
    assert.equal((await of(1)).outOfMemory, true)
  })
})

describe('a verdict of an earlier run', () => {
  const name = 'size/truncate-to-the-same-size'

  test('is used again, and the output says so', () => {
    const first = run('check', '-d', 'v10', name)
    const second = run('check', '-d', 'v10', name)
    assert.match(second.out, /reused\s+from an earlier\s+run/)
    assert.equal(second.code, first.code)
  })

  test('is not used when that is not wanted', () => {
    run('check', '-d', 'v10', name)
    assert.doesNotMatch(run('check', '-d', 'v10', '--no-cache', name).out, /reused/)
  })
})

describe('replay', () => {
  const token = tokenOf('upm')
  test('shows columns, a splat or every step, and the state it leads to', () => {
    const columns = run('replay', token)
    assert.equal(columns.code, 0)
    assert.match(columns.out, /\*\*\* stale-secondary-mapping/)
    assert.match(columns.out, /\nstate [0-9a-f]{16}\n$/)
    assert.match(run('replay', token, '--view', 'splat').out, /^=+\nBUG: stale-secondary-mapping/)
    assert.match(run('replay', token, '--view', 'list').out, /folio_migrate_mapping: rmw\(folio/)
    assert.match(run('replay', token, '--direct').out, /\*\*\* stale-secondary-mapping/)
  })
  test('on another design says where they part', () => {
    const { code, out } = run('replay', token, '--on', 'upm-aops')
    assert.equal(code, 0)
    assert.match(out, /the designs part at step \d+, kcompactd: upm: folio 1 mapping NULL->fd in\s/)
  })
  test('of a token from another version ends with 22', () => {
    const old = encodeToken({ ...decodeToken(token), hash: 'acd255da' })
    assert.equal(run('replay', old).code, 22)
  })
  test('of a design that is not built in asks for its file, and takes it', () => {
    const path = file('again.ts', DESIGN('  return fd'))
    const { out } = run('check', '--json', '-d', path, RACE)
    const own = JSON.parse(out).results[0].findings[0].token
    assert.match(run('replay', own).err, /name its file with\s--design/)
    assert.equal(run('replay', own, '--design', path).code, 0)
  })
})

describe('for programs and readers', () => {
  test('the examples of docs/litmus.md are as they say', () => {
    const page = readFileSync(join(ROOT, 'docs/litmus.md'), 'utf8')
    const [, text = ''] = /```\n(litmus [\s\S]*?)```/.exec(page) ?? []
    const { code, out } = run('check', '--json', file('docs.litmus', text))
    assert.equal(code, 0)
    assert.equal(JSON.parse(out).results.length, DESIGNS.length)
    const [, rest = ''] = /```\n(host [\s\S]*?)```/.exec(page) ?? []
    const path = file('hosts.litmus', `litmus docs/hosts\n"On a host?"\n${rest}`)
    assert.equal(run('check', path).code, 0)
    assert.equal(run('check', '--host', 'snp', path).code, 0)
  })
  test('an area stands for all of its scenarios', () => {
    const { results } = JSON.parse(run('check', '--json', '-d', 'upm-aops', 'reclaim').out)
    const names = results.map((r: { scenario: string }) => r.scenario)
    assert.ok(names.length > 1 && names.every((n: string) => n.startsWith('reclaim/')))
  })
  test('--json and --ktap print nothing else', () => {
    const json = JSON.parse(run('check', '--json', '-d', 'upm-pin', RACE).out)
    assert.equal(json.results[0].verdict, 'clean')
    assert.match(
      run('check', '--ktap', '-d', 'upm-pin', RACE).out,
      /^KTAP version 1\n1\.\.1\nok 1 /,
    )
  })
  test('list and explain know every word', () => {
    for (const what of [
      'scenarios',
      'designs',
      'sanitizers',
      'findings',
      'operations',
      'constants',
    ]) {
      assert.equal(run('list', what).code, 0, what)
    }
    assert.match(run('explain', 'guest-data-lost').out, /dropped as clean/)
    assert.match(run('explain', 'EBUSY').out, /-EBUSY is -16/)
    assert.match(run('explain', RACE).out, /^litmus migration[\s\S]*\nexpect\n/)
    assert.match(run('explain', tokenOf('upm')).out, /on upm\./)
  })
  test('nothing is printed to a pipe but the result', () => {
    assert.equal(run('check', '-d', 'upm', RACE).err, '')
  })
})

describe('a search that is stopped', () => {
  const long = endless('long')
  test('by its time limit says that it was, and ends with 20', () => {
    const path = file('long.litmus', long)
    const { code, out } = run('check', '-d', 'upm-aops', '--time', '1', path)
    assert.equal(code, 20)
    assert.match(out, /inconclusive/)
    assert.match(out, /bounded, stopped before the end: \d+ states/)
  })

  test('by the memory that it may take says so, and ends with 20', () => {
    const path = file('long.litmus', long)
    const { code, out } = run('check', '-d', 'upm-aops', '--memory', '1', path)
    assert.equal(code, 20)
    assert.match(out, /out of memory, stopped before the\s+end/)
  })

  test('by kill -9 goes on from its checkpoint', async () => {
    const path = file('long.litmus', long)
    const saved = join(folder, 'long.checkpoint')
    const args = ['check', '-d', 'upm-aops', '--checkpoint', saved, path]
    const child = spawn(process.execPath, [MAIN, ...args], { cwd: ROOT, stdio: 'ignore' })
    while (!existsSync(saved)) await new Promise((resolve) => setTimeout(resolve, 50))
    child.kill('SIGKILL')
    await once(child, 'exit')
    const states = (text: string): number => Number(/(\d+) states/.exec(text)?.[1])
    const killed = run(...args, '--time', '0')
    const later = run(...args, '--time', '1')
    assert.equal(killed.code, 20)
    assert.ok(states(killed.out) > 10_000 && states(later.out) > states(killed.out))
    const other = run('check', '-d', 'upm', '--checkpoint', saved, path)
    assert.equal(other.code, 2)
    assert.match(other.err, /the checkpoint belongs to\s+another/)
  })
})
