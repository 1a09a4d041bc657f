/** The command line as a user meets it: what it prints, and with what code it ends. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, test } from 'node:test'
import { decodeToken, encodeToken } from '../../src/app/token.js'
import { DESIGNS } from '../../src/designs/index.js'

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
  test('10 for a finding that is not expected, 13 for one that did not appear', () => {
    assert.equal(run('check', '-d', 'upm', file('a.litmus', scenario('* clean'))).code, 10)
    const missing = file('b.litmus', scenario('* finds null-dereference'))
    assert.equal(run('check', '-d', 'upm-aops', missing).code, 13)
  })
  test('11 for a deadlock that is not expected', () => {
    const text = `litmus own/stuck\n"?"\nsetup\n  vm = kvm_create_vm()\n  fd = private_memory(vm, 1P)
  bind(vm, slot=0, gpa=0, size=1P, fd=fd)\n  set_attributes(vm, gpa=0, size=1P, PRIVATE)
  guest_write(vm, gpa=0, 1)\ntask t\n  offline_memory(fd)\nexpect\n  * clean\n`
    assert.equal(run('check', '-d', 'upm-aops', file('c.litmus', text)).code, 11)
  })
  test('4 when everything is skipped', () => {
    const { code } = run('check', '-d', 'upm', file('d.litmus', scenario('* skip "why not"')))
    assert.equal(code, 4)
  })
  test('20 when a bound was hit', () => {
    const { code, out } = run('check', '--bound', '0', '-d', 'upm-aops', RACE)
    assert.equal(code, 20)
    assert.match(out, /bounded, at most 0 preemptions/)
  })
  test('21 when a reach mark never fired', () => {
    const text = scenario('* clean', 'reach slot-deleted')
    assert.equal(run('check', '-d', 'upm-aops', file('e.litmus', text)).code, 21)
  })
  test('21 when a condition that is said to hold sometimes never does', () => {
    const text = scenario('* clean', 'sometimes mce:r0 == -ENXIO')
    const { code, out } = run('check', '-d', 'upm-aops', file('s.litmus', text))
    assert.equal(code, 21)
    assert.match(out, /never reached: mce:r0 == -ENXIO/)
    const holds = scenario('* clean', 'sometimes mce:r0 == 0')
    assert.equal(run('check', '-d', 'upm-aops', file('t.litmus', holds)).code, 0)
  })
  test('a set-up that goes wrong or never ends is skipped with the reason', () => {
    const wrong = scenario('* clean').replace('== 1', '== 2')
    const { code, out } = run('check', '-d', 'upm', file('f.litmus', wrong))
    assert.equal(code, 4)
    assert.match(out, /the set-up fails: unexpected-result: pwrite/)
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
  test('the three examples say what docs/designs.md says of them', () => {
    assert.match(run('check', '-d', 'examples/kirill.ts', RACE).out, /on kirill: clean/)
    assert.match(run('check', '-d', 'examples/sean.ts', RACE).out, /on sean: clean/)
    const wrong = run('check', '-d', 'examples/wrong.ts', RACE)
    assert.equal(wrong.code, 10)
    assert.match(wrong.out, /stale-secondary-mapping/)
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
  test('a local that cannot live across a yield is named with its type', () => {
    const path = file(
      'array.ts',
      DESIGN(
        '  const list = [fd]\n  yield* mutexLock(mmState().mfMutex)\n  mutexUnlock(mmState().mfMutex)\n  return list.length',
      ),
    )
    const { code, err } = run('check', '-d', path, RACE)
    assert.equal(code, 2)
    assert.match(
      err.replace(/\s+/g, ' '),
      /array\.ts:9:9: list is a number\[\] and would live across a yield/,
    )
  })
  test('a type error is told like the compiler does', () => {
    const path = file('type.ts', DESIGN("  return 'text'"))
    const { code, err } = run('check', '-d', path, RACE)
    assert.equal(code, 2)
    assert.match(err, /type\.ts:\d+:\d+: /)
  })
  test('a file that exports no design, or is not there', () => {
    assert.match(
      run('check', '-d', file('none.ts', 'export const x = 1\n')).err,
      /exports no `design`/,
    )
    assert.match(run('check', '-d', './nowhere.ts').err, /no such file/)
  })
})

describe('several workers on one cell', () => {
  for (const [design, name] of [
    ['upm', RACE],
    ['upm-aops', 'punch/punch-vs-guest-fault'],
    ['upm-aops', 'hotplug/offline-a-block-of-restricted-pages'],
  ] as const) {
    test(`say what one says: ${name}`, () => {
      const results = ['1', '2'].map((workers) => {
        const args = ['--json', '--no-cache', '--workers', workers, '-d', design, name]
        const [verdict] = JSON.parse(run('check', ...args).out).results
        const { states, executions, findings, asExpected, proof } = verdict
        const found = findings.map((f: { id: string; preemptions: number; first: boolean }) => [
          f.id,
          f.preemptions,
          f.first,
        ])
        return { verdict: verdict.verdict, states, executions, found, asExpected, proof }
      })
      assert.deepEqual(results[1], results[0])
    })
  }

  test('begin again with a larger table, or say that there is no room', () => {
    const args = ['--no-cache', '--workers', '2', '-d', 'upm']
    const cell = 'migration/anonymous-page-vs-compaction'
    assert.match(run('check', ...args, '--memory', '4096', cell).out, /exhaustive: \d+ states/)
    assert.match(run('check', ...args, '--memory', '1', cell).out, /out of memory/)
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
  test('the example of docs/litmus.md is as it says', () => {
    const [, text = ''] =
      /```\n(litmus [\s\S]*?)```/.exec(readFileSync(join(ROOT, 'docs/litmus.md'), 'utf8')) ?? []
    const { code, out } = run('check', '--json', file('docs.litmus', text))
    assert.equal(code, 0)
    assert.equal(JSON.parse(out).results.length, DESIGNS.length)
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
  const long = `litmus own/long
"More than anybody waits for."
setup
  vm = kvm_create_vm(SW_PROTECTED)
  fd = private_memory(vm, 2P)
  bind(vm, slot=0, gpa=0, size=2P, fd=fd, offset=0)
  set_attributes(vm, gpa=0, size=2P, PRIVATE)
task vcpu0
  guest_write(vm, gpa=0, 1)
  guest_write(vm, gpa=4096, 1)
task vcpu1
  guest_write(vm, gpa=4096, 2)
  guest_write(vm, gpa=0, 2)
task vmm
  fallocate(fd, KEEP_SIZE|PUNCH_HOLE, 0, 2P)
task kcompactd
  migrate(fd, page=0)
  migrate(fd, page=1)
`
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

  test('by the user prints what it had, and ends with 130', async () => {
    const path = file('long.litmus', long)
    const child = spawn(process.execPath, [MAIN, 'check', '-d', 'upm-aops', path], { cwd: ROOT })
    let [out, err] = ['', '']
    child.stdout.on('data', (text) => {
      out += text
    })
    child.stderr.on('data', (text) => {
      err += text
    })
    setTimeout(() => child.kill('SIGINT'), 3000)
    const [code] = await once(child, 'close')
    assert.equal(code, 130)
    assert.match(out, /own\/long on upm-aops/)
    assert.match(err, /interrupted: 1 of 1 cells were not finished/)
  })
})
