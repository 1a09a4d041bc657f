/** The commands of SNP's firmware: table 3.3, in the order of their checks, and 3.12. */
import assert from 'node:assert/strict'
import * as fw from '../../src/hosts/snp/firmware.js'
import * as insn from '../../src/hosts/snp/instructions.js'
import { type PageState, pageState, pfnAt, rmpEntry } from '../../src/hosts/snp/rmp.js'
import type { Pfn } from '../../src/kernel/include/types.js'
import { pfnToFolio } from '../../src/kernel/mm/page_alloc.js'
import {
  byteAt,
  byteWithKey,
  keyedByte,
  NOISE_BYTE,
  withBytes,
  ZERO_PAGE,
} from '../../src/machine/blob.js'
import {
  A,
  B,
  boot,
  ctx,
  FW,
  far,
  firmware,
  guest,
  head,
  make,
  makeGuest,
  next,
  ok,
  page,
  STATES,
  shared,
} from './snp-bench.js'
import { notModelled, type Row, row, table } from './table.js'

/** A command on a page in each state: which it accepts, and what is then. Else: a code, unchanged. */
function perState(
  title: string,
  becomes: Readonly<Partial<Record<PageState, PageState>>>,
  run: (pfn: Pfn) => number,
  prepare = (): void => {},
  refusal = fw.INVALID_PAGE_STATE,
): Row[] {
  return STATES.map((state) => {
    const to = becomes[state]
    const name = `${title} on ${state}: ${to ?? `0x${refusal.toString(16)}`}`
    return row(name, 'A', FW, () => {
      prepare()
      make(state, page)
      const code = run(page)
      assert.equal(code, to === undefined ? refusal : 0)
      assert.equal(pageState(page), to ?? state)
    })
  })
}

const NOT_USED = 'Linux does not issue it'

table('3.3: what all commands check first', boot, [
  notModelled(
    'reserved bits that are set: 0x16',
    'A',
    FW,
    'commands are calls with typed arguments',
  ),
  notModelled('the platform is not initialised: 0x1', 'A', FW, 'here it always is'),
  row('the context page is none: 0x10', 'A', FW, () => {
    const calls = [
      () => fw.launchStart(page),
      () => fw.activate(page, A),
      () => fw.launchUpdate(page, far, false, fw.PAGE_TYPE_NORMAL),
      () => fw.launchFinish(page),
      () => fw.pageMove(page, far, next),
      () => fw.decommission(page),
    ]
    for (const call of calls) assert.equal(call(), fw.INVALID_GUEST)
    make('Firmware', page)
    for (const call of calls) assert.equal(call(), fw.INVALID_GUEST)
  }),
  row('the guest is in another phase: 0x2', 'A', FW, () => {
    makeGuest(A, ctx, fw.PHASE_INIT)
    assert.equal(fw.activate(ctx, A), fw.INVALID_GUEST_STATE)
    assert.equal(fw.launchFinish(ctx), fw.INVALID_GUEST_STATE)
    assert.equal(fw.pageMove(ctx, page, far), fw.INVALID_GUEST_STATE)
    ok(fw.launchStart(ctx))
    assert.equal(fw.launchStart(ctx), fw.INVALID_GUEST_STATE)
    ok(fw.launchFinish(ctx))
    assert.equal(fw.launchFinish(ctx), fw.INVALID_GUEST_STATE)
    make('Pre-Guest', page)
    const code = fw.launchUpdate(ctx, page, false, fw.PAGE_TYPE_NORMAL)
    assert.equal(code, fw.INVALID_GUEST_STATE)
  }),
  row('the guest has no ASID: 0x8', 'A', FW, () => {
    make('Context', ctx)
    ok(fw.launchStart(ctx))
    make('Pre-Guest', page)
    assert.equal(fw.launchUpdate(ctx, page, false, fw.PAGE_TYPE_NORMAL), fw.INACTIVE)
    assert.equal(fw.pageMove(ctx, page, page), fw.INACTIVE)
  }),
])

table('3.3 GCTX_CREATE', boot, [
  ...perState('GCTX_CREATE', { Firmware: 'Context' }, fw.gctxCreate),
  row('an entry of 2 MiB: 0x19', 'A', FW, () => {
    ok(insn.rmpupdate(head, { ...firmware, large: true }))
    assert.equal(fw.gctxCreate(head), fw.INVALID_PAGE_SIZE)
    assert.equal(pageState(head), 'Firmware')
  }),
  row('the page is cleared', 'A', FW, () => {
    pfnToFolio(page)!.data = withBytes(ZERO_PAGE, 0, 1, 0x5a)
    make('Context', page)
    assert.equal(pfnToFolio(page)!.data, ZERO_PAGE)
  }),
])

const launching = (): void => {
  make('Context', ctx)
  ok(fw.launchStart(ctx))
}

table('3.3 LAUNCH_START, ACTIVATE, LAUNCH_FINISH', boot, [
  row('START leads from INIT to LAUNCH, FINISH from there to RUNNING', 'A', FW, () => {
    make('Context', ctx)
    ok(fw.launchStart(ctx))
    ok(fw.activate(ctx, A))
    ok(fw.launchFinish(ctx))
    make('Pre-Guest', page)
    make('Pre-Guest', far)
    ok(fw.pageMove(ctx, page, far))
  }),
  row('ACTIVATE: the ASID has pages yet: 0x3', 'A', FW, () => {
    launching()
    make('Guest-Invalid', page)
    assert.equal(fw.activate(ctx, A), fw.INVALID_CONFIG)
  }),
  notModelled('ACTIVATE: a policy of one socket: 0x7', 'A', FW, 'policies are not in the model'),
  row('ACTIVATE: no such ASID: 0xD', 'A', FW, () => {
    launching()
    assert.equal(fw.activate(ctx, 0), fw.INVALID_ASID)
    assert.equal(fw.activate(ctx, 99), fw.INVALID_ASID)
  }),
  row("ACTIVATE: another guest's ASID: 0xC", 'A', FW, () => {
    makeGuest(A, far)
    launching()
    assert.equal(fw.activate(ctx, A), fw.ASID_OWNED)
  }),
  row('ACTIVATE: the guest is active: 0x12', 'A', FW, () => {
    makeGuest()
    assert.equal(fw.activate(ctx, B), fw.ALREADY_ACTIVE)
  }),
  row('ACTIVATE: in LAUNCH and in RUNNING', 'A', FW, () => {
    launching()
    ok(fw.launchFinish(ctx))
    ok(fw.activate(ctx, A))
  }),
])

const update = (pfn: Pfn, type = fw.PAGE_TYPE_NORMAL, large = false): number =>
  fw.launchUpdate(ctx, pfn, large, type)
const inLaunch = (): void => makeGuest(A, ctx, fw.PHASE_LAUNCH)

table('3.3 LAUNCH_UPDATE', boot, [
  ...perState('LAUNCH_UPDATE', { 'Pre-Guest': 'Guest-Valid' }, (pfn) => update(pfn), inLaunch),
  row('the state before the type: 0x1A', 'A', FW, () => {
    inLaunch()
    make('Guest-Invalid', page)
    assert.equal(update(page, 99), fw.INVALID_PAGE_STATE)
  }),
  row('another size than the entry, before the type: 0x19', 'A', FW, () => {
    inLaunch()
    make('Pre-Guest', head)
    assert.equal(update(head, 99, true), fw.INVALID_PAGE_SIZE)
  }),
  row('VMSA, SECRETS and CPUID need 4 KiB: 0x19', 'A', FW, () => {
    inLaunch()
    ok(insn.rmpupdate(pfnAt(16), guest(8, { large: true, immutable: true })))
    for (const type of [fw.PAGE_TYPE_VMSA, fw.PAGE_TYPE_SECRETS, fw.PAGE_TYPE_CPUID]) {
      assert.equal(update(pfnAt(16), type, true), fw.INVALID_PAGE_SIZE)
    }
    ok(update(pfnAt(16), fw.PAGE_TYPE_NORMAL, true))
    assert.equal(pageState(pfnAt(16)), 'Guest-Valid')
  }),
  row('a type that there is not: 0x16', 'A', FW, () => {
    inLaunch()
    make('Pre-Guest', page)
    assert.equal(update(page, 99), fw.INVALID_PARAM)
    assert.equal(update(page, 0), fw.INVALID_PARAM)
  }),
  row("another guest's page: 0x1C", 'A', FW, () => {
    inLaunch()
    ok(insn.rmpupdate(page, guest(1, { asid: B, immutable: true })))
    assert.equal(update(page), fw.INVALID_PAGE_OWNER)
    assert.equal(pageState(page), 'Pre-Guest')
  }),
  row('the content is encrypted where it lies; of type ZERO there is none', 'A', FW, () => {
    inLaunch()
    pfnToFolio(page)!.data = withBytes(ZERO_PAGE, 0, 1, 0x5a)
    pfnToFolio(far)!.data = withBytes(ZERO_PAGE, 0, 1, 0x5a)
    make('Pre-Guest', page)
    make('Pre-Guest', far, 1)
    ok(update(page))
    ok(update(far, fw.PAGE_TYPE_ZERO))
    const byteOf = (pfn: Pfn): number =>
      byteWithKey(pfnToFolio(pfn)!.data as typeof ZERO_PAGE, 0, fw.keyOf(A, pfn))
    assert.deepEqual([byteOf(page), byteOf(far)], [0x5a, 0])
    assert.equal(byteAt(pfnToFolio(page)!.data as typeof ZERO_PAGE, 0), NOISE_BYTE)
  }),
  row('lower levels get permissions; the VMSA bit is for type VMSA alone', 'A', FW, () => {
    inLaunch()
    make('Pre-Guest', page)
    make('Pre-Guest', far, 1)
    ok(update(page))
    ok(update(far, fw.PAGE_TYPE_VMSA))
    assert.deepEqual([rmpEntry(page).vmsa, rmpEntry(far).vmsa], [false, true])
    assert.ok(rmpEntry(page).vmplPerms !== 0)
  }),
  notModelled('what is measured', 'A', FW, 'attestation is not in the model'),
  notModelled(
    'CPUID with bad values: a corrected table in clear',
    'A',
    FW,
    'pages hold no CPUID table',
  ),
  notModelled('2 MiB that is half encrypted when it fails', 'A', FW, 'a command is one step'),
])

const RECLAIMED: Readonly<Partial<Record<PageState, PageState>>> = {
  Firmware: 'Reclaim',
  Metadata: 'Reclaim',
  'Pre-Guest': 'Guest-Invalid',
  'Pre-Swap': 'Guest-Valid',
  // What is not immutable is a success, and nothing changes.
  Hypervisor: 'Hypervisor',
  Reclaim: 'Reclaim',
  'Guest-Invalid': 'Guest-Invalid',
  'Guest-Valid': 'Guest-Valid',
}

table('3.3 PAGE_RECLAIM', boot, [
  ...perState('PAGE_RECLAIM', RECLAIMED, (pfn) => fw.pageReclaim(pfn, false)),
  row('another size than the entry: 0x19', 'A', FW, () => {
    assert.equal(fw.pageReclaim(head, true), fw.INVALID_PAGE_SIZE)
    ok(insn.rmpupdate(head, guest(8, { large: true, immutable: true })))
    assert.equal(fw.pageReclaim(head, false), fw.INVALID_PAGE_SIZE)
    ok(fw.pageReclaim(head, true))
    assert.equal(pageState(head), 'Guest-Invalid')
  }),
])

table('3.3 PAGE_MOVE', boot, [
  row('what was validated stays so, at another frame and under another key', 'A', FW, () => {
    makeGuest()
    const data = withBytes(ZERO_PAGE, 0, 1, keyedByte(0x5a, fw.keyOf(A, page)))
    pfnToFolio(page)!.data = data
    make('Pre-Swap', page, 3)
    make('Pre-Guest', far, 9)
    ok(fw.pageMove(ctx, page, far))
    assert.deepEqual([pageState(page), pageState(far)], ['Guest-Invalid', 'Guest-Valid'])
    assert.equal(rmpEntry(far).gfn, 3)
    const moved = pfnToFolio(far)!.data as typeof data
    assert.equal(byteWithKey(moved, 0, fw.keyOf(A, far)), 0x5a)
    assert.equal(byteAt(moved, 0), NOISE_BYTE)
  }),
  row('what was not is Guest-Invalid there', 'A', FW, () => {
    makeGuest()
    make('Pre-Guest', page, 3)
    make('Pre-Guest', far, 9)
    ok(fw.pageMove(ctx, page, far))
    assert.deepEqual([pageState(page), pageState(far)], ['Guest-Invalid', 'Guest-Invalid'])
  }),
  row('entries of 2 MiB: 0x19', 'A', FW, () => {
    makeGuest()
    ok(insn.rmpupdate(pfnAt(16), guest(8, { large: true, immutable: true })))
    make('Pre-Guest', page)
    assert.equal(fw.pageMove(ctx, page, pfnAt(16)), fw.INVALID_PAGE_SIZE)
  }),
  row('any other source or destination: 0x1A, and nothing changes', 'A', FW, () => {
    for (const [from, to] of [
      ['Guest-Valid', 'Pre-Guest'],
      ['Pre-Swap', 'Hypervisor'],
      ['Pre-Swap', 'Guest-Invalid'],
      ['Pre-Swap', 'Pre-Swap'],
    ] as const) {
      boot()
      makeGuest()
      make(from, page)
      make(to, far, 9)
      assert.equal(fw.pageMove(ctx, page, far), fw.INVALID_PAGE_STATE)
      assert.deepEqual([pageState(page), pageState(far)], [from, to])
    }
  }),
  row("another guest's page: 0x1C", 'A', FW, () => {
    makeGuest()
    make('Pre-Swap', page)
    ok(insn.rmpupdate(far, guest(9, { asid: B, immutable: true })))
    assert.equal(fw.pageMove(ctx, page, far), fw.INVALID_PAGE_OWNER)
  }),
  notModelled('of metadata: from a page of this context to one of firmware', 'A', FW, NOT_USED),
])

table('3.3: the others', boot, [
  notModelled('SWAP_OUT: Pre-Swap, Pre-Guest or Metadata', 'A', FW, NOT_USED),
  notModelled('SWAP_IN: to Pre-Guest of this ASID, or Firmware', 'A', FW, NOT_USED),
  notModelled('MD_INIT: Firmware becomes Metadata, zeroed', 'A', FW, NOT_USED),
  ...perState('PAGE_SET_STATE', { Firmware: 'HV-Fixed' }, (pfn) => fw.pageSetState([pfn])),
  row('PAGE_SET_STATE: all pages or none', 'A', FW, () => {
    make('Firmware', page)
    assert.equal(fw.pageSetState([page, next]), fw.INVALID_PAGE_STATE)
    assert.equal(pageState(page), 'Firmware')
  }),
  row('DECOMMISSION: Context becomes Firmware, the ASID is free', 'A', FW, () => {
    makeGuest()
    ok(fw.decommission(ctx))
    assert.equal(pageState(ctx), 'Firmware')
    makeGuest(A, far)
  }),
  notModelled('the ASID is dirty until DF_FLUSH', 'A', FW, 'the host keeps that book: see asid.ts'),
])

table('3.12: the life of an ASID', boot, [
  row('DECOMMISSION does not look for pages; ACTIVATE of the ASID then refuses', 'A', FW, () => {
    makeGuest()
    make('Guest-Valid', page)
    ok(fw.decommission(ctx))
    const other = pfnAt(14)
    make('Context', other)
    ok(fw.launchStart(other))
    assert.equal(fw.activate(other, A), fw.INVALID_CONFIG)
    ok(insn.rmpupdate(page, shared()))
    ok(fw.activate(other, A))
  }),
])
