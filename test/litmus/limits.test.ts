/**
 * What is larger than the model is a message that says which limit, never an answer of a kernel.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { UserError } from '../../src/app/error.js'
import { builtInDesigns } from '../../src/app/host/designs.js'
import { check } from '../../src/app/host/run.js'
import { readScenarios } from '../../src/app/host/scenarios.js'
import { encodeToken } from '../../src/app/token.js'

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.js')

const numbered = (n: number, line: (i: number) => string): string =>
  Array.from({ length: n }, (_, i) => `  ${line(i)}\n`).join('')

const VM = 'setup\n  vm = kvm_create_vm(SW_PROTECTED)\n'

const LARGER: readonly (readonly [name: string, text: string, says: RegExp])[] = [
  ['nine VMs', `task t\n${numbered(9, () => 'kvm_create_vm()')}`, /8 objects of struct Kvm/],
  [
    'eleven memslots',
    `${VM}task t\n${numbered(11, (i) => `plain_slot(vm, ${i}, ${i}P, 1P)`)}`,
    /10 memslots/,
  ],
  [
    'six hundred pages at once',
    'setup\n  fd = memfd_create()\ntask t\n  fallocate(fd, 0, offset=0, size=600P)\n',
    /512 page frames/,
  ],
  [
    'shared anonymous memory',
    'task t\n  mmap(-1, PROT_READ, MAP_SHARED|MAP_ANONYMOUS, 1P)\n',
    /shared anonymous memory is not modelled/,
  ],
  [
    'a guest address that no processor has',
    `${VM}task t\n  guest_read(vm, gpa=0xfffffffffffff000)\n`,
    /52 bits/,
  ],
]

const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-limits-'))
after(() => rmSync(folder, { recursive: true }))

function scenario(text: string): string {
  const path = join(folder, 'larger.litmus')
  writeFileSync(path, `litmus limits/larger\n"Is there room for this?"\n\n${text}`)
  return path
}

const designs = builtInDesigns().filter((d) => d.id === 'upm')

for (const [name, text, says] of LARGER) {
  test(name, async () => {
    const scenarios = readScenarios([scenario(text)])
    await assert.rejects(check({ scenarios, designs, cache: false }), (error) => {
      assert.ok(error instanceof UserError)
      assert.match(error.message, says)
      assert.match(error.message, /more than the model has/)
      return true
    })
  })
}

test('what the command was doing does not matter: a replay ends with 2 as well', () => {
  const path = scenario(`setup\n${numbered(9, () => 'kvm_create_vm()')}task t\n  kvm_create_vm()\n`)
  const token = encodeToken({ scenario: 'larger', design: 'upm', hash: '00000000', schedule: [] })
  const args = [MAIN, 'replay', '--file', path, token]
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.match(stderr, /^it needs more than the model has: .*8 objects of struct Kvm/)
  assert.equal(status, 2)
})
