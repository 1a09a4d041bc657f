/**
 * The decision tables of SEV-SNP, row by row. Each table says where its rows come from and of which
 * class they are: A is architecture or firmware, which no kernel can change; D is deduced; ? is not
 * public, and both answers are tried.
 */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { bootKernel } from '../../src/cell/boot.js'
import { designNamed } from '../../src/hosts/index.js'
import {
  ACCESS_OK,
  ACCESS_VC,
  checkGuestAccess,
  hostStoreAllowed,
  NPF_RMP,
  NPF_RMP_ENC,
  NPF_RMP_VMPL,
  plainGuestStoreAllowed,
} from '../../src/hosts/snp/access.js'
import * as fw from '../../src/hosts/snp/firmware.js'
import * as insn from '../../src/hosts/snp/instructions.js'
import {
  asidTable,
  effectiveGfn,
  METADATA_MARK,
  type PageState,
  pageState,
  pfnAt,
  REGION,
  rmpEntry,
} from '../../src/hosts/snp/rmp.js'
import type { Gfn, Pfn } from '../../src/kernel/include/types.js'
import { allocFolio, pfnToFolio } from '../../src/kernel/mm/page_alloc.js'
import {
  byteAt,
  byteWithKey,
  keyAt,
  keyedByte,
  NOISE_BYTE,
  withBytes,
  ZERO_PAGE,
} from '../../src/machine/blob.js'

const design = designNamed('gmem-6.18@snp')!
const A = 1
const B = 2
const g = (n: number): Gfn => n as Gfn

/** Frames of one region: its head, and two others; and a frame of another region. */
const head = pfnAt(8)
const page = pfnAt(9)
const next = pfnAt(10)
const far = pfnAt(17)
const ctx = pfnAt(13)

function boot(): void {
  bootKernel(design, 'lowered')
  // Each task's frames are taken in order; those of the table must have a struct page.
  for (let i = 0; i < 24; i++) allocFolio(false)
}

const guest = (gfn = 0, over = {}): insn.NewState => ({
  assigned: true,
  asid: A,
  gfn: g(gfn),
  large: false,
  immutable: false,
  ...over,
})
const shared = (over = {}): insn.NewState => ({
  assigned: false,
  asid: 0,
  gfn: g(0),
  large: false,
  immutable: false,
  ...over,
})
const firmware = guest(0, { asid: 0, immutable: true })
const at = (gfn: number, over = {}): insn.GuestPage => ({
  asid: A,
  gfn: g(gfn),
  vmpl: 0,
  large: false,
  ...over,
})
const ok = (code: number): void => assert.equal(code, 0)

/** Bring a frame into a state as software would. */
function make(state: PageState, pfn: Pfn, gfn = 0): void {
  switch (state) {
    case 'Hypervisor':
      break
    case 'Firmware':
      ok(insn.rmpupdate(pfn, firmware))
      break
    case 'Context':
      make('Firmware', pfn)
      ok(fw.gctxCreate(pfn))
      break
    case 'Metadata':
      make('Firmware', pfn)
      rmpEntry(pfn).gfn = g(METADATA_MARK)
      break
    case 'Reclaim':
      make('Firmware', pfn)
      ok(fw.pageReclaim(pfn, false))
      break
    case 'HV-Fixed':
      make('Firmware', pfn)
      ok(fw.pageSetState([pfn]))
      break
    case 'Guest-Invalid':
      ok(insn.rmpupdate(pfn, guest(gfn)))
      break
    case 'Guest-Valid':
      make('Guest-Invalid', pfn, gfn)
      ok(insn.pvalidate(pfn, at(gfn), true))
      break
    case 'Pre-Guest':
      ok(insn.rmpupdate(pfn, guest(gfn, { immutable: true })))
      break
    case 'Pre-Swap':
      make('Guest-Valid', pfn, gfn)
      ok(insn.rmpupdate(pfn, guest(gfn, { immutable: true })))
      break
    default:
      throw new Error(state)
  }
}

const STATES: readonly PageState[] = [
  'Hypervisor',
  'HV-Fixed',
  'Firmware',
  'Reclaim',
  'Context',
  'Metadata',
  'Pre-Guest',
  'Pre-Swap',
  'Guest-Invalid',
  'Guest-Valid',
]

/** A guest that runs, with an ASID. */
function makeGuest(asid = A, context = ctx, phase = fw.PHASE_RUNNING): void {
  make('Context', context)
  if (phase === fw.PHASE_INIT) return
  ok(fw.launchStart(context))
  ok(fw.activate(context, asid))
  if (phase === fw.PHASE_RUNNING) ok(fw.launchFinish(context))
}

describe('3.2: the ten states, by their bits (class A, firmware source)', () => {
  beforeEach(boot)
  for (const state of STATES) {
    test(state, () => {
      make(state, page)
      assert.equal(pageState(page), state)
    })
  }
})

describe('3.3 RMPUPDATE: from a state, with new values, to a state and a code', () => {
  beforeEach(boot)
  const P = insn.FAIL_PERMISSION
  type Row = [
    from: PageState,
    to: insn.NewState,
    code: number,
    state: PageState,
    validated: boolean,
  ]
  const rows: readonly Row[] = [
    // A: VeriSMo, firmware
    ['Hypervisor', guest(), 0, 'Guest-Invalid', false],
    ['Hypervisor', guest(0, { immutable: true }), 0, 'Pre-Guest', false],
    ['Hypervisor', firmware, 0, 'Firmware', false],
    ['Hypervisor', shared(), 0, 'Hypervisor', false],
    // A by necessity: only the immutable bit changes, so validation is kept
    ['Guest-Invalid', guest(0, { immutable: true }), 0, 'Pre-Guest', false],
    ['Guest-Valid', guest(0, { immutable: true }), 0, 'Pre-Swap', true],
    // D: identical values do nothing
    ['Guest-Valid', guest(), 0, 'Guest-Valid', true],
    ['Guest-Invalid', guest(), 0, 'Guest-Invalid', false],
    // A: another guest, or another address
    ['Guest-Valid', guest(0, { asid: B }), 0, 'Guest-Invalid', false],
    ['Guest-Valid', guest(7), 0, 'Guest-Invalid', false],
    ['Guest-Valid', guest(7, { immutable: true }), 0, 'Pre-Guest', false],
    // A: VeriSMo, Linux
    ['Guest-Valid', shared(), 0, 'Hypervisor', false],
    ['Guest-Invalid', shared(), 0, 'Hypervisor', false],
    ['Reclaim', shared(), 0, 'Hypervisor', false],
    // A: immutable pages change by firmware alone
    ...(['Firmware', 'Context', 'Metadata', 'Pre-Guest', 'HV-Fixed'] as const).flatMap(
      (from): Row[] => [
        [from, shared(), P, from, false],
        [from, guest(5), P, from, false],
      ],
    ),
    ['Pre-Swap', shared(), P, 'Pre-Swap', true],
  ]
  for (const [from, to, code, state, validated] of rows) {
    const owner = to.assigned ? `ASID ${to.asid}, gfn ${to.gfn}` : 'shared'
    test(`${from} to ${owner}${to.immutable ? ', immutable' : ''}: ${code}, ${state}`, () => {
      make(from, page)
      assert.equal(insn.rmpupdate(page, to), code)
      assert.equal(pageState(page), state)
      assert.equal(rmpEntry(page).validated, validated)
    })
  }
})

describe('3.3 RMPUPDATE: which check is first', () => {
  beforeEach(boot)
  test('row 1 (?): a new state that makes no sense is 1, or 2, and nothing changes', () => {
    const senseless = [shared({ asid: A }), shared({ immutable: true }), guest(0, { large: true })]
    for (const s of senseless) {
      assert.equal(insn.rmpupdate(page, s), insn.FAIL_INPUT)
      const other = { ...insn.OPEN_ROWS, inconsistent: insn.FAIL_PERMISSION } as const
      assert.equal(insn.rmpupdate(page, s, other), insn.FAIL_PERMISSION)
    }
    assert.equal(pageState(page), 'Hypervisor')
  })
  test('row 3 before row 4: an immutable page inside a large region is 2', () => {
    make('Pre-Guest', page)
    assert.equal(insn.rmpupdate(head, guest(0, { large: true })), insn.FAIL_OVERLAP)
    assert.equal(insn.rmpupdate(page, shared()), insn.FAIL_PERMISSION)
  })
  test('row 4 (A, Linux): 4 KiB inside 2 MiB, and 2 MiB over 4 KiB, overlap: 4', () => {
    ok(insn.rmpupdate(head, guest(0, { large: true })))
    assert.equal(insn.rmpupdate(page, shared()), insn.FAIL_OVERLAP)
    assert.equal(insn.rmpupdate(head, shared()), insn.FAIL_OVERLAP)
    ok(insn.rmpupdate(head, shared({ large: true })))
    make('Guest-Invalid', page)
    assert.equal(insn.rmpupdate(head, guest(0, { large: true })), insn.FAIL_OVERLAP)
  })
  test("row 5 (D): a region whose head is firmware's refuses 2 for an unassigned page", () => {
    make('Firmware', head)
    assert.equal(insn.rmpupdate(page, guest()), insn.FAIL_PERMISSION)
    assert.equal(pageState(page), 'Hypervisor')
  })
})

describe('3.9: what one instruction does to the region and to the counter of its ASID', () => {
  beforeEach(boot)
  const count = (asid: number): number => asidTable().pages.get(asid)
  test('4 KiB: the head counts the others, not itself; the ASID counts all', () => {
    make('Guest-Invalid', head)
    assert.equal(rmpEntry(head).subpageCount, 0)
    make('Guest-Invalid', page, 1)
    make('Guest-Valid', next, 2)
    assert.equal(rmpEntry(head).subpageCount, 2)
    assert.equal(count(A), 3)
    ok(insn.rmpupdate(next, guest(2, { asid: B })))
    assert.deepEqual([count(A), count(B)], [2, 1])
    ok(insn.rmpupdate(page, shared()))
    assert.equal(rmpEntry(head).subpageCount, 1)
  })
  test('2 MiB: the head alone knows; the others look like pages under reclaim', () => {
    ok(insn.rmpupdate(head, guest(8, { large: true })))
    assert.equal(rmpEntry(head).subpageCount, 0)
    assert.equal(count(A), REGION)
    assert.deepEqual([pageState(head), pageState(page)], ['Guest-Invalid', 'Reclaim'])
    assert.equal(effectiveGfn(page), 9)
    // So "the same ASID and gfn", looked up in the page's own entry, would be wrong.
    assert.notEqual(rmpEntry(page).asid, A)
  })
  test('PSMASH (A): one entry for each, consecutive, with what the large one had', () => {
    ok(insn.rmpupdate(head, guest(8, { large: true })))
    ok(insn.pvalidate(head, at(8, { large: true }), true))
    ok(insn.psmash(head))
    assert.equal(rmpEntry(head).subpageCount, REGION - 1)
    assert.equal(count(A), REGION)
    assert.deepEqual([pageState(page), rmpEntry(page).gfn], ['Guest-Valid', 9])
  })
  test('PSMASH (?) of anything else is 1, or 2', () => {
    const other = { ...insn.OPEN_ROWS, notToSmash: insn.FAIL_PERMISSION } as const
    assert.equal(insn.psmash(head), insn.FAIL_INPUT)
    assert.equal(insn.psmash(head, other), insn.FAIL_PERMISSION)
    make('Pre-Guest', head)
    assert.equal(insn.psmash(head), insn.FAIL_INPUT)
    assert.equal(insn.psmash(page), insn.FAIL_INPUT)
  })
  test('UNSMASH (A) takes PSMASH back, if all pages are alike and immutable', () => {
    // The head last: once it is immutable it stands in the way of the others.
    for (let i = REGION - 1; i >= 0; i--) make('Pre-Guest', pfnAt(8 + i), 8 + i)
    ok(fw.pageUnsmash(head))
    assert.deepEqual([rmpEntry(head).large, rmpEntry(head).subpageCount], [true, 0])
    boot()
    for (let i = REGION - 1; i >= 0; i--) make('Pre-Guest', pfnAt(8 + i), i === 2 ? 99 : 8 + i)
    assert.equal(fw.pageUnsmash(head), fw.INVALID_PAGE_STATE)
  })
})

describe('3.3 PVALIDATE and RMPADJUST (A, VeriSMo), in the order of their checks', () => {
  beforeEach(boot)
  test('1: above VMPL 0 it is refused', () => {
    make('Guest-Invalid', page)
    assert.equal(insn.pvalidate(page, at(0, { vmpl: 1 }), true), insn.FAIL_PERMISSION)
  })
  test('2: 2 MiB at an address that is not aligned is 1, whatever the page', () => {
    assert.equal(insn.pvalidate(page, at(1, { large: true }), true), insn.FAIL_INPUT)
  })
  for (const state of STATES.filter((s) => !s.startsWith('Guest'))) {
    test(`3: on ${state} the walk faults`, () => {
      make(state, page)
      assert.equal(insn.pvalidate(page, at(0), true), insn.NESTED_FAULT)
    })
  }
  test('3: of another guest, or at another address, the walk faults', () => {
    make('Guest-Invalid', page, 3)
    assert.equal(insn.pvalidate(page, at(4), true), insn.NESTED_FAULT)
    assert.equal(insn.pvalidate(page, at(3, { asid: B }), true), insn.NESTED_FAULT)
  })
  test('3, 4: the sizes differ: a fault with SIZEM for 4 KiB, 6 for 2 MiB', () => {
    ok(insn.rmpupdate(head, guest(8, { large: true })))
    assert.equal(insn.pvalidate(page, at(9), true), insn.NESTED_FAULT_SIZE)
    boot()
    make('Guest-Invalid', head, 8)
    assert.equal(insn.pvalidate(head, at(8, { large: true }), true), insn.FAIL_SIZEMISMATCH)
  })
  test('5, 6: a change is 0, no change is the carry flag', () => {
    make('Guest-Invalid', page)
    assert.equal(insn.pvalidate(page, at(0), true), 0)
    assert.equal(insn.pvalidate(page, at(0), true), insn.PVALIDATE_FAIL_NOUPDATE)
    assert.equal(insn.pvalidate(page, at(0), false), 0)
    assert.equal(pageState(page), 'Guest-Invalid')
  })
  test("RMPADJUST: for a level that is not lower 2; not validated #VC; perms beyond one's own 2", () => {
    make('Guest-Invalid', page)
    assert.equal(insn.rmpadjust(page, at(0), 0, 1, false), insn.FAIL_PERMISSION)
    assert.equal(insn.rmpadjust(page, at(0), 1, 1, false), insn.VC_NOT_VALIDATED)
    ok(insn.pvalidate(page, at(0), true))
    ok(insn.rmpadjust(page, at(0), 1, 1, false))
    assert.equal(insn.rmpadjust(page, at(0, { vmpl: 1 }), 2, 3, false), insn.FAIL_PERMISSION)
  })
})

describe('3.3: firmware commands: the page must be in the right state, and firmware says so first', () => {
  beforeEach(boot)
  const accepted = (list: readonly PageState[], run: (pfn: Pfn) => number, bad: number): void => {
    for (const state of STATES) {
      boot()
      make(state, page)
      const code = run(page)
      assert.equal(code, list.includes(state) ? 0 : bad, state)
      if (code !== 0) assert.equal(pageState(page), state, 'unchanged')
    }
  }
  test('GCTX_CREATE: Firmware', () => accepted(['Firmware'], fw.gctxCreate, fw.INVALID_PAGE_STATE))
  test('PAGE_SET_STATE: Firmware', () =>
    accepted(['Firmware'], (pfn) => fw.pageSetState([pfn]), fw.INVALID_PAGE_STATE))
  test('PAGE_RECLAIM: all but Context and HV-Fixed; what is not immutable succeeds unchanged', () => {
    const ok = STATES.filter((s) => s !== 'Context' && s !== 'HV-Fixed')
    accepted(ok, (pfn) => fw.pageReclaim(pfn, false), fw.INVALID_PAGE_STATE)
    const becomes: [PageState, PageState][] = [
      ['Firmware', 'Reclaim'],
      ['Metadata', 'Reclaim'],
      ['Pre-Guest', 'Guest-Invalid'],
      ['Pre-Swap', 'Guest-Valid'],
      ['Hypervisor', 'Hypervisor'],
      ['Guest-Valid', 'Guest-Valid'],
    ]
    for (const [from, to] of becomes) {
      boot()
      make(from, page)
      fw.pageReclaim(page, false)
      assert.equal(pageState(page), to)
    }
  })
  test('PAGE_RECLAIM of another size is 0x19', () => {
    assert.equal(fw.pageReclaim(head, true), fw.INVALID_PAGE_SIZE)
  })
  test('phases: START in INIT, ACTIVATE after it, UPDATE and FINISH in LAUNCH', () => {
    make('Context', ctx)
    assert.equal(fw.activate(ctx, A), fw.INVALID_GUEST_STATE)
    assert.equal(fw.launchFinish(ctx), fw.INVALID_GUEST_STATE)
    ok(fw.launchStart(ctx))
    assert.equal(fw.launchStart(ctx), fw.INVALID_GUEST_STATE)
    make('Pre-Guest', page)
    assert.equal(fw.launchUpdate(ctx, page, false, fw.PAGE_TYPE_NORMAL), fw.INACTIVE)
    assert.equal(fw.activate(far, A), fw.INVALID_GUEST)
    assert.equal(fw.activate(ctx, 99), fw.INVALID_ASID)
    assert.equal(fw.activate(ctx, A), fw.INVALID_CONFIG, 'the page is of this ASID already')
    assert.equal(fw.activate(ctx, B), 0)
    assert.equal(fw.activate(ctx, B), fw.ASID_OWNED)
    ok(fw.launchFinish(ctx))
    assert.equal(fw.launchUpdate(ctx, page, false, fw.PAGE_TYPE_NORMAL), fw.INVALID_GUEST_STATE)
  })
  test('LAUNCH_UPDATE: Pre-Guest, then size, then type, then phase, then owner', () => {
    makeGuest(A, ctx, fw.PHASE_LAUNCH)
    const update = (pfn: Pfn, type = fw.PAGE_TYPE_NORMAL, large = false): number =>
      fw.launchUpdate(ctx, pfn, large, type)
    make('Guest-Invalid', far)
    assert.equal(update(far, 99), fw.INVALID_PAGE_STATE)
    make('Pre-Guest', page)
    assert.equal(update(page, 99, true), fw.INVALID_PAGE_SIZE)
    assert.equal(update(page, 99), fw.INVALID_PARAM)
    ok(insn.rmpupdate(next, guest(1, { asid: B, immutable: true })))
    assert.equal(update(next), fw.INVALID_PAGE_OWNER)
    ok(update(page))
    assert.equal(pageState(page), 'Guest-Valid')
    assert.equal(fw.launchUpdate(far, page, false, 1), fw.INVALID_GUEST)
  })
  test('PAGE_MOVE: what was validated stays so, at another frame and under another key', () => {
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
  })
  test("PAGE_MOVE: a destination of the host's, or a source that can still change, is 0x1A", () => {
    makeGuest()
    make('Guest-Valid', page)
    make('Pre-Guest', far)
    assert.equal(fw.pageMove(ctx, page, far), fw.INVALID_PAGE_STATE)
    assert.equal(fw.pageMove(ctx, far, next), fw.INVALID_PAGE_STATE)
  })
  test('3.12: DECOMMISSION does not look for pages; ACTIVATE of the ASID then refuses', () => {
    makeGuest()
    make('Guest-Valid', page)
    ok(fw.decommission(ctx))
    assert.equal(pageState(ctx), 'Firmware')
    const other = pfnAt(14)
    make('Context', other)
    ok(fw.launchStart(other))
    assert.equal(fw.activate(other, A), fw.INVALID_CONFIG)
    ok(insn.rmpupdate(page, shared()))
    ok(fw.activate(other, A))
  })
})

describe('3.4: who may touch what', () => {
  beforeEach(boot)
  const access = (over = {}): Parameters<typeof checkGuestAccess>[1] => ({
    asid: A,
    gfn: g(0),
    encrypted: true,
    write: false,
    vmpl: 0,
    largeMapping: false,
    ...over,
  })
  test('1, 2, 3: the host stores, by 4 KiB, to what is its own (A); to HV-Fixed (?) both ways', () => {
    for (const state of STATES) {
      boot()
      make(state, page)
      const own = state === 'Hypervisor' || state === 'HV-Fixed'
      assert.equal(hostStoreAllowed(page, false), own, state)
      assert.equal(plainGuestStoreAllowed(page), own, state)
      const strict = { ...insn.OPEN_ROWS, hostStoresToFixed: false }
      assert.equal(hostStoreAllowed(page, false, strict), state === 'Hypervisor', state)
    }
  })
  test('4, 5: through a large mapping every frame that it covers must be unassigned', () => {
    assert.equal(hostStoreAllowed(page, true), true)
    make('Guest-Invalid', next)
    assert.equal(hostStoreAllowed(page, true), false)
    assert.equal(hostStoreAllowed(page, false), true)
  })
  const private_: [PageState, number][] = [
    ['Hypervisor', NPF_RMP_ENC],
    ['HV-Fixed', NPF_RMP_ENC],
    ['Firmware', NPF_RMP],
    ['Reclaim', NPF_RMP],
    ['Context', NPF_RMP],
    ['Pre-Guest', NPF_RMP],
    ['Pre-Swap', NPF_RMP],
    ['Guest-Invalid', ACCESS_VC],
    ['Guest-Valid', ACCESS_OK],
  ]
  for (const [state, verdict] of private_) {
    test(`8 to 11: a guest with its C bit, on ${state}`, () => {
      make(state, page)
      for (const write of [false, true]) {
        assert.equal(checkGuestAccess(page, access({ write })), verdict)
      }
    })
  }
  test('11: another ASID or address is a nested fault, and never a #VC', () => {
    make('Guest-Invalid', page, 3)
    assert.equal(checkGuestAccess(page, access({ gfn: g(4) })), NPF_RMP)
    assert.equal(checkGuestAccess(page, access({ gfn: g(3), asid: B })), NPF_RMP)
    assert.equal(checkGuestAccess(page, access({ gfn: g(3) })), ACCESS_VC)
  })
  test('12, 13: the sizes of mapping and entry must agree', () => {
    make('Guest-Valid', page)
    assert.equal(checkGuestAccess(page, access({ largeMapping: true })), NPF_RMP)
    ok(insn.rmpupdate(pfnAt(16), guest(8, { large: true })))
    assert.equal(checkGuestAccess(far, access({ gfn: g(9) })), NPF_RMP)
  })
  test('15: a VMPL without permission', () => {
    make('Guest-Valid', page)
    assert.equal(checkGuestAccess(page, access({ vmpl: 1 })), NPF_RMP_VMPL)
    ok(insn.rmpadjust(page, at(0), 1, 1, false))
    assert.equal(checkGuestAccess(page, access({ vmpl: 1 })), ACCESS_OK)
  })
  test('16, 17: without the C bit, what is unassigned; a read of the rest (?) both ways', () => {
    for (const state of STATES) {
      boot()
      make(state, page)
      const free = state === 'Hypervisor' || state === 'HV-Fixed'
      const plain = access({ encrypted: false })
      assert.equal(checkGuestAccess(page, plain), free ? ACCESS_OK : NPF_RMP, state)
      assert.equal(checkGuestAccess(page, { ...plain, write: true }), free ? ACCESS_OK : NPF_RMP)
      const lax = { ...insn.OPEN_ROWS, sharedReadOfAssigned: 'ciphertext' } as const
      assert.equal(checkGuestAccess(page, plain, lax), ACCESS_OK, state)
    }
  })
})

describe('3.7: content is bound to the ASID and the frame (A)', () => {
  test('the host, another guest and another frame read noise; a copy does not help', () => {
    const key = fw.keyOf(A, page)
    const data = withBytes(ZERO_PAGE, 0, 1, keyedByte(0x5a, key))
    assert.equal(byteWithKey(data, 0, key), 0x5a)
    for (const wrong of [0, fw.keyOf(B, page), fw.keyOf(A, far)]) {
      assert.equal(byteWithKey(data, 0, wrong), NOISE_BYTE)
    }
    assert.equal(byteWithKey(ZERO_PAGE, 0, key), NOISE_BYTE)
    assert.equal(keyAt(data, 1), 0)
  })
})
