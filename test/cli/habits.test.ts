/** What the command line does for those who live with it: habits, limits, and rough handling. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, test } from 'node:test'
import { explain } from '../../src/cli/explain.js'
import { builtLists } from '../../src/cli/list.js'
import { DESIGNS } from '../../src/designs/index.js'
import { MATRIX_SIGNS, shortFinding, VERDICT_WORDS } from '../../src/report/words.js'
import { endless } from './endless.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const MAIN = join(ROOT, 'dist/src/cli/main.js')
const SMALL = 'size/truncate-to-the-same-size'
const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-habits-'))
after(() => rmSync(folder, { recursive: true }))
const env = { ...process.env, XDG_CACHE_HOME: folder }

interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function run(args: readonly string[], more: { input?: string; env?: NodeJS.ProcessEnv } = {}): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    env,
    ...more,
  })
  assert.doesNotMatch(stderr, /\n {4}at /, 'no stack trace')
  return { code: status, out: stdout, err: stderr.replace(/\s+/g, ' ') }
}

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const scenario = (name: string, rest: string): string => `litmus own/${name}
"A question?"
setup
  fd = memfd_create()
  bad = ftruncate(fd, 0) == 0
task t
  r0 = fsync(fd)
task u
  r1 = fsync(fd)
${rest}`

const design = (id: string, body: string, imports = ''): string => `
import { fn, type Kernel, replace } from 'restrictedmem/machine/fn.js'
import { mmState } from 'restrictedmem/kernel/include/mm.js'
import { sysFsync } from 'restrictedmem/kernel/fs/sync.js'
import { defineDesign } from 'restrictedmem/designs/design.js'
import { upm } from 'restrictedmem/designs/upm.js'
${imports}
const mine = fn(function* fsync(fd: number): Kernel<number> {
${body}
})
export const design = defineDesign({
  id: '${id}', summary: 'A test.', base: upm, cite: [], replaces: [replace(sysFsync, mine)],
})
`

describe('what is printed', () => {
  test('begins with what the calls returned, those of the set-up too', () => {
    const { out } = run(['check', '-', '-d', 'upm'], { input: scenario('answers', '') })
    assert.match(out, /own\/answers on upm: clean\n {2}set-up: fd=\d+ {2}bad=0\n {2}result:\n/)
    assert.match(out, /\n {4}t:r0=0 {2}u:r1=0\n/)
  })
  test('says which part of a condition failed, and the value', () => {
    const path = file('part.litmus', scenario('part', 'always t:r0 == 0 and u:r1 == -EBUSY\n'))
    const { out } = run(['check', '-d', 'upm', path])
    assert.match(out, /always t:r0 == 0 and u:r1 == -EBUSY: u:r1 is 0/)
    assert.doesNotMatch(out, /t:r0 is/)
  })
  test('warns when the result of a call of the set-up that failed is used', () => {
    const text = `litmus own/warn\n"?"\nsetup\n  fd = memfd_create(0x40000)\ntask t\n  fsync(fd)\n`
    const { out } = run(['check', '-d', 'upm', file('warn.litmus', text)])
    assert.match(out, /warning: the set-up ends with fd = -EINVAL, which fsync\(fd\) uses/)
  })
  test('says what is the same of several designs once, if none was asked for', () => {
    const { out } = run(['check', file('same.litmus', scenario('same', ''))])
    assert.match(out, /^\d+ cells, all exhaustive, all as expected/)
    assert.match(out, new RegExp(`own/same on ${DESIGNS.map((d) => d.id).join(',\\s+')}`))
  })
  test('shows a command that replays a finding as it stands', () => {
    const path = file('again.litmus', scenario('again', 'always t:r0 == 7\n'))
    const own = file('again.ts', design('again', '  return fd'))
    const { out } = run(['check', '-d', own, path])
    const [command = ''] = /npx restrictedmem replay [\s\S]*?(?=\n {2}\S|\n\n|$)/.exec(out) ?? []
    const line = command.replace('npx restrictedmem', `'${process.execPath}' '${MAIN}'`)
    const { status, stdout } = spawnSync('sh', ['-c', line], { cwd: ROOT, encoding: 'utf8', env })
    assert.equal(status, 0, command)
    assert.match(stdout, /\*\*\* condition-violated/)
  })
  test('has colours only where they are wanted', () => {
    const esc = String.fromCharCode(27)
    const coloured = (value: string): boolean =>
      run(['check', '-d', 'v10', SMALL], { env: { ...env, FORCE_COLOR: value } }).out.includes(esc)
    assert.equal(coloured('1'), true)
    assert.equal(coloured('0'), false)
  })
  test('never lets a name control the terminal', () => {
    const { code, err } = run(['check', `no\u001b[2Jsuch\u202efile`])
    assert.equal(code, 2)
    assert.match(err, /no\\u001b\[2Jsuch\\u202efile: no such file/)
  })
})

describe('words', () => {
  test('of the matrix and of errors are explained', () => {
    assert.match(run(['explain', 'stale']).out, /^stale-secondary-mapping\n/)
    assert.match(run(['explain', 'UAF+1!']).out, /^use-after-free\n/)
    assert.match(run(['explain', 'vacuous']).out, /never did/)
    assert.match(run(['explain', 'EINVAL']).out, /-EINVAL is -22\nreturned by\n {2}memfd_create: /)
    assert.match(run(['explain', 'spte-installed']).out, /src\/kernel/)
    assert.match(run(['explain', '-16']).out, /^-EBUSY is -16\n/)
    assert.match(run(['explain', '-']).out, /does not apply/)
    assert.match(run(['explain', '+']).out, /^\+: behind a word/)
  })
  test('that a cell of the matrix can have are all explained', async () => {
    for (const { name } of builtLists().findings) {
      for (const more of ['', '+1?!']) {
        const said = await explain(`${shortFinding(name)}${more}`, 80)
        assert.equal(said.split('\n')[0], name)
      }
    }
    for (const word of [...Object.keys(VERDICT_WORDS), ...Object.keys(MATRIX_SIGNS), '+2']) {
      assert.ok((await explain(word, 80)).startsWith(`${word}: `), word)
    }
  })
  test('that are none have their nearest match', () => {
    assert.match(run(['explain', 'guest-data-lots']).err, /Did you mean "guest-data-lost"/)
    assert.match(run(['explain', 'stael']).err, /Did you mean "stale"/)
    assert.match(run(['check', '--format', 'jsn', SMALL]).err, /Did you mean "json"/)
  })
  test('complete in a shell', () => {
    const { out } = run(['completion'])
    assert.match(out, /complete -o default -F _restrictedmem restrictedmem/)
    const asks = ['--format js', '-d upm-a', 'size/tr'].map((words) => {
      const given = `COMP_WORDS=(restrictedmem check ${words}) COMP_CWORD=${words.split(' ').length + 1}`
      return `${given}; _restrictedmem; echo "\${COMPREPLY[*]}"`
    })
    const shell = spawnSync('bash', ['-c', [out, ...asks].join('\n')], { encoding: 'utf8' })
    const wanted = `json\nupm-aops upm-aops-repaired\n${SMALL}\n`
    assert.ok(shell.error !== undefined || shell.stdout === wanted, shell.stdout)
  })
})

test('replay --json is every step, with the finding', () => {
  const { results } = JSON.parse(run(['check', '--json', '-d', 'v10', SMALL]).out)
  const [{ token }] = results[0].findings
  const { trace } = JSON.parse(run(['replay', '--json', token]).out)
  assert.ok(trace.steps.length > 1)
  assert.equal(trace.steps.at(-1).findings[0].id, results[0].findings[0].id)
})

describe('refused, with a message and code 2', () => {
  const refused = (says: RegExp, ...args: string[]): void => {
    const { code, err } = run(args)
    assert.equal(code, 2, err)
    assert.match(err, says)
  }
  test('numbers of workers and bytes that make no sense', () => {
    refused(/from 1 is wanted/, 'check', '--workers', '0', SMALL)
    refused(/1 to 64 workers, not 2000/, 'check', '--workers', '2000', SMALL)
    refused(/from 1 is wanted/, 'check', '--memory', '0', SMALL)
    refused(/from 1 is wanted/, 'check', '--sample', '0', SMALL)
  })
  test('two designs of one id, and two scenarios of one name', () => {
    const one = file('one.ts', design('mine', '  return fd'))
    const two = file('two.ts', design('mine', '  return fd + 1'))
    refused(/are two designs called "mine"/, 'check', '-d', one, '-d', two, SMALL)
    const a = file('a.litmus', scenario('twice', ''))
    const b = file('b.litmus', scenario('twice', 'always t:r0 == 0\n'))
    refused(/are two scenarios called "own\/twice"/, 'check', '-d', 'upm', a, b)
  })
  test('a design that takes code from elsewhere', () => {
    const path = file('far.ts', design('far', '  return fd', "import 'node:fs'"))
    refused(/far\.ts:7:8: a design can import nothing but/, 'check', '-d', path, SMALL)
  })
  test('a design whose code throws', () => {
    const own = file(
      'throws.ts',
      design('throws', "  if (fd >= 0) throw new Error('of my own')\n  return fd"),
    )
    const path = file('throws.litmus', scenario('throws', ''))
    refused(/the code of throws fails: of my own/, 'check', '-d', own, path)
  })
  test('a folder or nothing where a file should be', () => {
    mkdirSync(join(folder, 'folder.ts'), { recursive: true })
    refused(/folder\.ts/, 'check', '-d', join(folder, 'folder.ts'), SMALL)
    refused(/EISDIR|no such file|directory/, 'conform', '--transcript', folder)
    refused(/no such file/, 'conform', '--transcript', join(folder, 'none.jsonl'))
  })
})

test('a design that forgets to announce what it touches is not clean', () => {
  const path = file(
    'silent.ts',
    `import { fn, type Kernel, replace } from 'restrictedmem/machine/fn.js'
import type { Folio } from 'restrictedmem/kernel/include/mm.js'
import { folioPutRefs } from 'restrictedmem/kernel/mm/swap.js'
import { defineDesign } from 'restrictedmem/designs/design.js'
import { upm } from 'restrictedmem/designs/upm.js'
const put = fn(function* folio_put_refs(folio: Folio, refs: number): Kernel<void> {
  folio.refcount -= refs
})
export const design = defineDesign({
  id: 'silent', summary: 'A test.', base: upm, cite: [], replaces: [replace(folioPutRefs, put)],
})
`,
  )
  const { code, out } = run(['check', '-d', path, 'migration/two-vcpus-touch-one-page'])
  assert.ok(code !== 0, out)
  assert.match(out.replace(/\s+/g, ' '), /not announced: Folio\.refcount, /)
  assert.doesNotMatch(out, /silent: clean/)
})

describe('a bound, a limit or a sample', () => {
  test('that shows nothing is inconclusive, and no expectation is missed', () => {
    const name = 'migration/guest-touch-vs-compaction'
    for (const args of [
      ['--bound', '0', '-d', 'upm'],
      ['--sample', '1', '-d', 'upm-pin'],
      ['--sample', '100', '--time', '0', '-d', 'upm'],
    ]) {
      const { code, out } = run(['check', ...args, name])
      assert.equal(code, 20, out)
      assert.doesNotMatch(out, /clean|as expected/, out)
    }
  })
  test('that shows what is not expected has found it', () => {
    const path = file('quick.litmus', scenario('quick', 'always t:r0 == 7\nexpect\n  * clean\n'))
    assert.equal(run(['check', '--bound', '0', '-d', 'upm', path]).code, 10)
  })
})

describe('rough handling', () => {
  for (const [signal, ends] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`${signal} prints and saves what there is, and ends with ${ends}`, async () => {
      const path = file(`${signal}.litmus`, endless(signal))
      const saved = join(folder, `${signal}.checkpoint`)
      const args = ['check', '-d', 'upm-aops', '--checkpoint', saved, path]
      const child = spawn(process.execPath, [MAIN, ...args], { cwd: ROOT, env })
      let [out, err] = ['', '']
      child.stdout.on('data', (text) => {
        out += text
      })
      child.stderr.on('data', (text) => {
        err += text
      })
      while (!existsSync(saved)) await new Promise((wake) => setTimeout(wake, 50))
      rmSync(saved)
      child.kill(signal)
      const [code] = await once(child, 'close')
      assert.equal(code, ends)
      assert.match(out, new RegExp(`own/${signal} on upm-aops: inconclusive`))
      assert.match(err, /interrupted: 1 of 1 cells were not finished/)
      assert.ok(existsSync(saved))
    })
  }
  test('a checkpoint that cannot be saved is told, and the search goes on', () => {
    const path = file('endless.litmus', endless('endless'))
    const nowhere = join(folder, 'no/such/folder/file')
    const args = ['check', '-d', 'upm-aops', '--checkpoint', nowhere, '--time', '3', path]
    const { code, err } = run(args)
    assert.equal(code, 20)
    assert.match(err, /the checkpoint can't be saved/)
  })
  test('a full disk behind the output is told', { skip: !existsSync('/dev/full') }, () => {
    const full = openSync('/dev/full', 'w')
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'list'], {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
      env,
    })
    closeSync(full)
    assert.equal(status, 2)
    assert.match(stderr, /^the output can't be written: .*ENOSPC.*\n$/)
  })
})
