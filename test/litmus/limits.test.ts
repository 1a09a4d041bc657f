/** What is larger than the model is a message that says which limit, never an answer of a kernel. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.js')

const numbered = (n: number, line: (i: number) => string): string =>
  Array.from({ length: n }, (_, i) => `  ${line(i)}\n`).join('')

const VM = 'setup\n  vm = kvm_create_vm(SW_PROTECTED)\n'

const LARGER: readonly (readonly [name: string, text: string, says: RegExp])[] = [
  ['nine VMs', `task t\n${numbered(9, () => 'kvm_create_vm()')}`, /8 objects of struct Kvm/],
  [
    'nine memslots',
    `${VM}task t\n${numbered(9, (i) => `plain_slot(vm, ${i}, ${i}P, 1P)`)}`,
    /8 memslots/,
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

for (const [name, text, says] of LARGER) {
  test(name, () => {
    const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-limits-'))
    try {
      const path = join(folder, 'larger.litmus')
      writeFileSync(path, `litmus limits/larger\n"Is there room for this?"\n\n${text}`)
      const { status, stderr } = spawnSync(process.execPath, [MAIN, 'check', path, '-d', 'upm'], {
        encoding: 'utf8',
      })
      assert.match(stderr.replace(/\s+/g, ' '), says)
      assert.match(stderr.replace(/\s+/g, ' '), /more than the model has/)
      assert.equal(status, 2)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
}
