/**
 * What a fault of a scenario's can make fail: each instruction, firmware command, call of the module
 * and hypercall that the kernel issues, with each code that its table has. A call that is in none of
 * these lists, and has no reason why, fails the test; so does one whose codes no kernel code asks for.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import * as pkvm from '../../src/hosts/pkvm/refusals.js'
import * as fw from '../../src/hosts/snp/firmware.js'
import * as insn from '../../src/hosts/snp/instructions.js'
import * as snp from '../../src/hosts/snp/refusals.js'
import * as tdx from '../../src/hosts/tdx/refusals.js'
import * as sept from '../../src/hosts/tdx/sept.js'

const ROOT = resolve(import.meta.dirname, '../../..')

/** What files export that can be called. */
const functionsOf = (...files: readonly string[]): string[] =>
  files.flatMap((file) =>
    [
      ...readFileSync(join(ROOT, 'src/hosts', file), 'utf8').matchAll(
        /^export (?:function (\w+)|const (\w+) = fn\()/gm,
      ),
    ].map((m) => m[1] ?? m[2]!),
  )

/** By exported function: the codes that strike, or why none does. */
type Calls = Readonly<Record<string, readonly number[] | string>>

const NOT_ISSUED = 'the kernel does not issue it'
const NO_CALL = 'no call of its own'
const OF_THE_GUEST = "the guest's: what it answers follows from the entry"
const ONE_CALL = 'the rest of a call that cannot fail any more'

const SNP: Calls = {
  rmpupdate: snp.RMPUPDATE_REFUSALS,
  psmash: NOT_ISSUED,
  pvalidate: OF_THE_GUEST,
  rmpadjust: OF_THE_GUEST,
  gctxCreate: snp.REFUSALS[fw.SNP_GCTX_CREATE],
  launchStart: snp.REFUSALS[fw.SNP_LAUNCH_START],
  activate: snp.REFUSALS[fw.SNP_ACTIVATE],
  launchUpdate: snp.REFUSALS[fw.SNP_LAUNCH_UPDATE],
  launchFinish: snp.REFUSALS[fw.SNP_LAUNCH_FINISH],
  pageReclaim: snp.REFUSALS[fw.SNP_PAGE_RECLAIM],
  pageMove: snp.REFUSALS[fw.SNP_PAGE_MOVE],
  decommission: snp.REFUSALS[fw.SNP_DECOMMISSION],
  pageSetState: NOT_ISSUED,
  pageUnsmash: NOT_ISSUED,
  keyOf: NO_CALL,
  isLaunchType: NO_CALL,
}

const TDX: Calls = {
  tdhMemPageAug: tdx.REFUSALS.MEM_PAGE_AUG,
  pageAddBegin: tdx.REFUSALS.MEM_PAGE_ADD,
  pageAddCommit: ONE_CALL,
  tdhMemRangeBlock: tdx.REFUSALS.MEM_RANGE_BLOCK,
  tdhMemTrack: tdx.REFUSALS.MEM_TRACK,
  tdhMemPageRemove: tdx.REFUSALS.MEM_PAGE_REMOVE,
  tdhMrFinalize: tdx.REFUSALS.MR_FINALIZE,
  lockTdr: tdx.REFUSALS.VP_INIT,
  unlockTdr: ONE_CALL,
  tdhVpEnter: 'KVM_RUN repeats its code, and nothing has happened',
  tdhPhymemPageReclaim: 'Linux issues it for what a TD has beside its memory',
  acceptBegin: OF_THE_GUEST,
  acceptCommit: ONE_CALL,
  tdExit: NO_CALL,
  ...Object.fromEntries(
    ['isCovered', 'isPending', 'isTracked', 'keyOf', 'checkedGfn', 'opStateOf', 'ownerOf']
      .concat(['pamtOf', 'septPage', 'tdNumber', 'tdxPowerOn'])
      .map((name) => [name, NO_CALL]),
  ),
}

const PKVM: Calls = {
  hostDonateGuest: pkvm.REFUSALS.__pkvm_host_donate_guest,
  hostReclaimPageGuest: pkvm.REFUSALS.__pkvm_reclaim_dying_guest_page,
  hostForceReclaimPageGuest: "part of an access of the host's, which is one step",
  vcpuInPoisonFault: 'it only asks',
  guestShareHost: OF_THE_GUEST,
  guestUnshareHost: OF_THE_GUEST,
  guestRelinquish: OF_THE_GUEST,
  guestCheckMemcache: NO_CALL,
  memcacheUnchecked: NO_CALL,
  giveBack: NO_CALL,
  ...Object.fromEntries(
    ['hostShareGuest', 'hostUnshareGuest', ...functionsOf('pkvm/host-calls.ts')].map((n) => [
      n,
      NOT_ISSUED,
    ]),
  ),
}

/** Names and numbers of codes that a host can explain. */
const codesOf = (...modules: readonly object[]): number[] =>
  modules.flatMap((m) => Object.values(m).filter((v): v is number => typeof v === 'number'))

for (const [host, calls, files] of [
  ['SEV-SNP', SNP, ['snp/instructions.ts', 'snp/firmware.ts']],
  ['TDX', TDX, ['tdx/module.ts']],
  ['pKVM', PKVM, ['pkvm/guest-calls.ts', 'pkvm/host-calls.ts']],
] as const) {
  describe(host, () => {
    test('every call has codes to fail with, or says why nothing strikes it', () => {
      assert.deepEqual(Object.keys(calls).sort(), functionsOf(...files).sort())
      for (const [name, codes] of Object.entries(calls)) {
        assert.ok(codes.length > 0, name)
        if (typeof codes !== 'string') assert.equal(new Set(codes).size, codes.length, name)
      }
    })
  })
}

test('every code that strikes is one of the tables, and none is a success', () => {
  const ofSnp = [...Object.values(snp.REFUSALS).flat(), ...snp.RMPUPDATE_REFUSALS]
  for (const code of ofSnp) assert.ok(code !== 0 && codesOf(fw, insn).includes(code), `${code}`)
  for (const code of Object.values(tdx.REFUSALS).flat()) {
    assert.ok(code !== 0 && codesOf(sept).includes(code), `${code}`)
  }
  for (const code of Object.values(pkvm.REFUSALS).flat()) assert.ok(code < 0)
})

test('kernel code asks for the codes of every call that has some', () => {
  const asked = (host: string): string =>
    readdirSync(join(ROOT, 'src/hosts', host))
      .filter((f) => f !== 'refusals.ts')
      .map((f) => readFileSync(join(ROOT, 'src/hosts', host, f), 'utf8'))
      .join('\n')
      .replace(/^import [\s\S]*?from .*$/gm, '')
  const named = (module: object): string[] =>
    Object.entries(module).flatMap(([name, v]) => (typeof v === 'number' ? [name] : []))
  for (const [host, module] of [
    ['tdx', tdx],
    ['pkvm', pkvm],
  ] as const) {
    const names = named(module)
    assert.ok(names.length > 5)
    const code = asked(host)
    for (const name of names) assert.match(code, new RegExp(`\\b${name}\\b`), `${host}: ${name}`)
  }
})

test('the numbers of kernel code name the calls that they should', () => {
  const { AUG, ADD, BLOCK, TRACK, REMOVE, WBINVD, FINALIZE, VP_INIT } = tdx
  const seamcalls = [AUG, ADD, BLOCK, TRACK, REMOVE, WBINVD, FINALIZE, VP_INIT]
  assert.deepEqual(
    seamcalls.map((n) => tdx.SEAMCALLS[n]),
    tdx.SEAMCALLS,
  )
  const { RESERVE_VM, INIT_VM, DONATE_GUEST } = pkvm
  const { START_TEARDOWN, RECLAIM_DYING_PAGE, FINALIZE_TEARDOWN } = pkvm
  const teardown = [START_TEARDOWN, RECLAIM_DYING_PAGE, FINALIZE_TEARDOWN]
  assert.deepEqual(
    [RESERVE_VM, INIT_VM, DONATE_GUEST, ...teardown].map((n) => pkvm.HYPERCALLS[n]),
    pkvm.HYPERCALLS,
  )
})
