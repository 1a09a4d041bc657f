/** What the command line says of hosts: the flag, and the words of their tables. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInDesigns, designsOnMachine, loadDesign } from '../../src/app/host/designs.js'
import { NAMED_DESIGNS } from '../../src/designs/index.js'
import { MACHINES } from '../../src/hosts/host.js'
import { designsOn, HOSTS, hostWords } from '../../src/hosts/index.js'
import * as fw from '../../src/hosts/snp/firmware.js'
import * as insn from '../../src/hosts/snp/instructions.js'
import * as sept from '../../src/hosts/tdx/sept.js'

/** Names and numbers of what a module exports in capitals, those of these prefixes left out. */
function codesOf(module: Readonly<Record<string, unknown>>, not: RegExp): [string, number][] {
  return Object.entries(module).filter(
    (e): e is [string, number] =>
      /^[A-Z0-9_]+$/.test(e[0]) && typeof e[1] === 'number' && e[1] !== 0 && !not.test(e[0]),
  )
}

test('every code of SNP and of TDX can be explained, with its number', () => {
  const codes = [
    ...codesOf(insn, /^(NESTED_FAULT|GENERAL_PROTECTION)/),
    ...codesOf(fw, /^(PHASE|PAGE_TYPE|SNP)_/),
    ...codesOf(sept, /^(TDX_SUCCESS|EPT_VIOLATION)/),
  ]
  for (const [name, value] of codes) {
    const word = hostWords().find((w) => w.name === name)
    assert.equal(word?.value, value, name)
  }
})

test('with --host, the designs are those that run on the machine, built in or not', async () => {
  for (const machine of MACHINES) {
    const ids = designsOnMachine(builtInDesigns(), machine).map((d) => d.id)
    // Those that one host alone has are in no list of designs, and have their names there; nor are
    // those that run where a scenario names them.
    const here = designsOn(machine).map((d) => d.id)
    const own = HOSTS.flatMap((h) => (h.own ?? []).map((d) => `${d.id}@${h.id}`))
    const named = NAMED_DESIGNS.map((d) => d.id)
    assert.deepEqual(
      ids,
      here.filter((id) => !own.includes(id) && !named.includes(id.split('@')[0] ?? '')),
    )
    for (const id of here) assert.equal((await loadDesign({ id, module: undefined })).id, id)
  }
  const v10 = builtInDesigns().filter((d) => d.id === 'v10')
  assert.throws(() => designsOnMachine(v10, 'snp'), /does not run on the host "snp"/)
})
