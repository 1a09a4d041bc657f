/**
 * The states of a page under SEV-SNP, and the instructions that change them: tables 3.2, 3.3 and
 * 3.9, row by row.
 */
import assert from 'node:assert/strict'
import * as fw from '../../src/hosts/snp/firmware.js'
import * as insn from '../../src/hosts/snp/instructions.js'
import {
  asidTable,
  effectiveGfn,
  type PageState,
  pageState,
  pfnAt,
  REGION,
  rmpEntry,
} from '../../src/hosts/snp/rmp.js'
import type { Pfn } from '../../src/kernel/include/types.js'
import {
  A,
  at,
  B,
  boot,
  FW,
  firmware,
  guest,
  head,
  LX,
  make,
  next,
  ok,
  page,
  STATES,
  shared,
  VS,
} from './snp-bench.js'
import { type Class, everySwitchIsTried, notModelled, open, type Row, row, table } from './table.js'

const P = insn.FAIL_PERMISSION
const OPEN = insn.OPEN_ROWS

type Bits = readonly [assigned: boolean, validated: boolean, guest: boolean, immutable: boolean]

/** By state: the bits that the entry must have; the vmsa bit and the marks are said in `stateOf`. */
const BITS: Readonly<Record<Exclude<PageState, 'Default'>, Bits>> = {
  Hypervisor: [false, false, false, false],
  'HV-Fixed': [false, false, false, true],
  Firmware: [true, false, false, true],
  'Firmware-IOMMU': [true, false, false, true],
  Reclaim: [true, false, false, false],
  Context: [true, false, false, true],
  Metadata: [true, false, false, true],
  'Pre-Guest': [true, false, true, true],
  'Pre-Swap': [true, true, true, true],
  'Guest-Invalid': [true, false, true, false],
  'Guest-Valid': [true, true, true, false],
}

table('3.2: the states of a page, by their bits', boot, [
  ...Object.entries(BITS).map(([state, bits]) =>
    row(state, 'A', FW, () => {
      make(state as PageState, page)
      const e = rmpEntry(page)
      assert.deepEqual([e.assigned, e.validated, e.asid > 0, e.immutable], bits)
      assert.equal(e.vmsa, state === 'Context')
      assert.equal(pageState(page), state)
    }),
  ),
  row('Default: a frame that has no entry, and gets none', 'A', FW, () => {
    const behind = 512 as Pfn
    assert.equal(pageState(behind), 'Default')
    assert.equal(insn.rmpupdate(behind, guest()), insn.FAIL_INPUT)
  }),
  notModelled('any other bits are invalid', 'A', FW, 'no instruction and no command makes them'),
])

type Update = readonly [
  from: PageState,
  to: insn.NewState,
  code: number,
  state: PageState,
  validated: boolean,
  cls: Class,
  source: string,
]

const IMMUTABLE = ['Firmware', 'Context', 'Metadata', 'Pre-Guest', 'Pre-Swap', 'HV-Fixed'] as const

const UPDATES: readonly Update[] = [
  ['Hypervisor', guest(), 0, 'Guest-Invalid', false, 'A', `${VS}, ${FW}`],
  ['Hypervisor', guest(0, { immutable: true }), 0, 'Pre-Guest', false, 'A', FW],
  ['Hypervisor', firmware, 0, 'Firmware', false, 'A', `${FW}, ${LX}`],
  ['Hypervisor', shared(), 0, 'Hypervisor', false, 'A', VS],
  ['Guest-Invalid', guest(0, { immutable: true }), 0, 'Pre-Guest', false, 'A', 'by necessity'],
  ['Guest-Valid', guest(0, { immutable: true }), 0, 'Pre-Swap', true, 'A', 'by necessity'],
  ['Guest-Valid', guest(), 0, 'Guest-Valid', true, 'D', 'the row above'],
  ['Guest-Invalid', guest(), 0, 'Guest-Invalid', false, 'D', 'the row above'],
  ['Guest-Valid', guest(0, { asid: B }), 0, 'Guest-Invalid', false, 'A', VS],
  ['Guest-Valid', guest(7), 0, 'Guest-Invalid', false, 'A', VS],
  ['Guest-Valid', guest(7, { immutable: true }), 0, 'Pre-Guest', false, 'A', VS],
  ['Guest-Valid', shared(), 0, 'Hypervisor', false, 'A', `${VS}, ${LX}`],
  ['Guest-Invalid', shared(), 0, 'Hypervisor', false, 'A', `${VS}, ${LX}`],
  ['Reclaim', shared(), 0, 'Hypervisor', false, 'A', `${VS}, ${LX}`],
  ...IMMUTABLE.flatMap((from): Update[] => [
    [from, shared(), P, from, from === 'Pre-Swap', 'A', `${VS}, ${LX}`],
    [from, guest(5), P, from, from === 'Pre-Swap', 'A', `${VS}, ${LX}`],
  ]),
]

table('3.3 RMPUPDATE: from a state, with new values, to a state and a code', boot, [
  ...UPDATES.map(([from, to, code, state, validated, cls, source]) => {
    const owner = to.assigned ? `ASID ${to.asid}, gfn ${to.gfn}` : 'shared'
    const name = `${from} to ${owner}${to.immutable ? ', immutable' : ''}: ${code}, ${state}`
    return row(name, cls, source, () => {
      make(from, page)
      assert.equal(insn.rmpupdate(page, to), code)
      assert.equal(pageState(page), state)
      assert.equal(rmpEntry(page).validated, validated)
    })
  }),
  row('a new owner finds neither the VMSA bit nor permissions of the old one', 'A', VS, () => {
    make('Guest-Valid', page)
    ok(insn.rmpadjust(page, at(0), 1, 1, true))
    ok(insn.rmpupdate(page, guest(0, { immutable: true })))
    assert.deepEqual([rmpEntry(page).vmsa, rmpEntry(page).vmplPerms], [true, 1])
    ok(fw.pageReclaim(page, false))
    ok(insn.rmpupdate(page, guest(1)))
    assert.deepEqual([rmpEntry(page).vmsa, rmpEntry(page).vmplPerms], [false, 0])
  }),
])

/** Two checks of RMPUPDATE that fail at once, and what each answers. */
const TWICE: readonly {
  readonly first: insn.RmpupdateCheck
  readonly second: insn.RmpupdateCheck
  readonly run: (open: insn.OpenRows) => number
  readonly codes: readonly [number, number]
}[] = [
  {
    first: 'input',
    second: 'immutable',
    run: (o) => {
      make('Pre-Guest', page)
      return insn.rmpupdate(page, shared({ asid: A }), o)
    },
    codes: [insn.FAIL_INPUT, P],
  },
  {
    first: 'input',
    second: 'overlap',
    run: (o) => {
      ok(insn.rmpupdate(head, guest(8, { large: true })))
      return insn.rmpupdate(page, shared({ asid: A }), o)
    },
    codes: [insn.FAIL_INPUT, insn.FAIL_OVERLAP],
  },
  {
    first: 'immutable',
    second: 'overlap',
    run: (o) => {
      ok(insn.rmpupdate(head, guest(8, { large: true, immutable: true })))
      return insn.rmpupdate(head, shared(), o)
    },
    codes: [P, insn.FAIL_OVERLAP],
  },
  {
    first: 'input',
    second: 'region',
    run: (o) => {
      make('Firmware', head)
      return insn.rmpupdate(page, shared({ asid: A }), o)
    },
    codes: [insn.FAIL_INPUT, P],
  },
  {
    first: 'overlap',
    second: 'region',
    run: (o) => {
      ok(insn.rmpupdate(head, guest(8, { large: true, immutable: true })))
      return insn.rmpupdate(page, shared(), o)
    },
    codes: [insn.FAIL_OVERLAP, P],
  },
]

const ORDER: readonly Row[] = [
  row('1: a frame that has no entry is 1', 'A', VS, () => {
    assert.equal(insn.rmpupdate(512 as Pfn, shared()), insn.FAIL_INPUT)
  }),
  open('1: a new state that makes no sense is 1, or 2, and nothing changes', 'inconsistent', () => {
    const senseless = [shared({ asid: A }), shared({ immutable: true }), guest(0, { large: true })]
    for (const s of senseless) {
      assert.equal(insn.rmpupdate(page, s), insn.FAIL_INPUT)
      assert.equal(insn.rmpupdate(page, s, { ...OPEN, inconsistent: P }), P)
    }
    assert.equal(pageState(page), 'Hypervisor')
  }),
  notModelled(
    '2: another agent holds the entry: 3, for a moment',
    'A',
    `${FW}, ${VS}`,
    'each instruction and command is one step; a fault of a scenario is answered with 3',
  ),
  row('3: an immutable entry is 2', 'A', `${VS}, ${FW}`, () => {
    make('Pre-Guest', page)
    assert.equal(insn.rmpupdate(page, shared()), P)
  }),
  row('4: 4 KiB inside 2 MiB, and 2 MiB over 4 KiB, overlap: 4', 'A', LX, () => {
    ok(insn.rmpupdate(head, guest(0, { large: true })))
    assert.equal(insn.rmpupdate(page, shared()), insn.FAIL_OVERLAP)
    assert.equal(insn.rmpupdate(head, shared()), insn.FAIL_OVERLAP)
    ok(insn.rmpupdate(head, shared({ large: true })))
    make('Guest-Invalid', page)
    assert.equal(insn.rmpupdate(head, guest(0, { large: true })), insn.FAIL_OVERLAP)
  }),
  row("5: a region whose head is firmware's refuses 2", 'D', 'AMDSEV 245', () => {
    make('Firmware', head)
    assert.equal(insn.rmpupdate(page, guest()), P)
    assert.equal(pageState(page), 'Hypervisor')
  }),
  ...TWICE.map(({ first, second, run, codes }) =>
    open(`${first} and ${second} both fail: either may be seen first`, 'rmpupdateOrder', () => {
      const others = insn.RMPUPDATE_CHECKS.filter((c) => c !== first && c !== second)
      for (const [i, order] of [
        [first, second],
        [second, first],
      ].entries()) {
        boot()
        assert.equal(run({ ...OPEN, rmpupdateOrder: [...order, ...others] }), codes[i])
      }
    }),
  ),
]
table('3.3 RMPUPDATE: which check is first', boot, ORDER)

const count = (asid: number): number => asidTable().pages.get(asid)

table('3.9: what an instruction does to the region and to the counter of its ASID', boot, [
  row('4 KiB: the head counts the others, not itself; the ASID counts all', 'A', FW, () => {
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
  }),
  row('2 MiB: the head alone knows; the others look like pages under reclaim', 'A', FW, () => {
    ok(insn.rmpupdate(head, guest(8, { large: true })))
    assert.equal(rmpEntry(head).subpageCount, 0)
    assert.equal(count(A), REGION)
    assert.deepEqual([pageState(head), pageState(page)], ['Guest-Invalid', 'Reclaim'])
    assert.equal(effectiveGfn(page), 9)
    // So "the same ASID and gfn", looked up in the page's own entry, would be wrong.
    assert.notEqual(rmpEntry(page).asid, A)
  }),
])

const PSMASH: readonly Row[] = [
  row('2 MiB: an entry for each page, consecutive, with what the large one had', 'A', FW, () => {
    ok(insn.rmpupdate(head, guest(8, { large: true })))
    ok(insn.pvalidate(head, at(8, { large: true }), true))
    ok(insn.rmpadjust(head, at(8, { large: true }), 1, 1, false))
    ok(insn.psmash(head))
    assert.equal(rmpEntry(head).subpageCount, REGION - 1)
    assert.equal(count(A), REGION)
    for (let i = 0; i < REGION; i++) {
      const entry = rmpEntry(pfnAt(8 + i))
      assert.deepEqual([pageState(pfnAt(8 + i)), entry.gfn, entry.asid], ['Guest-Valid', 8 + i, A])
      assert.equal(entry.vmplPerms, 1)
    }
  }),
  notModelled('the entry is in use: 3', 'A', LX, 'as with RMPUPDATE, row 2'),
  open('anything else is 1, or 2', 'notToSmash', () => {
    const other = { ...OPEN, notToSmash: P } as const
    const refused: readonly (() => void)[] = [
      () => {},
      () => make('Guest-Valid', head),
      () => ok(insn.rmpupdate(head, guest(8, { large: true, immutable: true }))),
    ]
    for (const prepare of refused) {
      boot()
      prepare()
      assert.equal(insn.psmash(head), insn.FAIL_INPUT)
      assert.equal(insn.psmash(head, other), P)
    }
    assert.equal(insn.psmash(page), insn.FAIL_INPUT)
  }),
]
table('3.3 PSMASH', boot, PSMASH)

const UNSMASH: readonly Row[] = [
  row('it takes PSMASH back, if all pages are alike and immutable', 'A', FW, () => {
    // The head last: once it is immutable it stands in the way of the others.
    for (let i = REGION - 1; i >= 0; i--) make('Pre-Guest', pfnAt(8 + i), 8 + i)
    ok(fw.pageUnsmash(head))
    assert.deepEqual([rmpEntry(head).large, rmpEntry(head).subpageCount], [true, 0])
    assert.equal(pageState(head), 'Pre-Guest')
  }),
  row(
    'a gap in the addresses, or a page that can change, is 0x1A, and nothing changes',
    'A',
    FW,
    () => {
      for (let i = REGION - 1; i >= 0; i--) make('Pre-Guest', pfnAt(8 + i), i === 2 ? 99 : 8 + i)
      assert.equal(fw.pageUnsmash(head), fw.INVALID_PAGE_STATE)
      boot()
      for (let i = REGION - 1; i >= 0; i--) make('Guest-Valid', pfnAt(8 + i), 8 + i)
      assert.equal(fw.pageUnsmash(head), fw.INVALID_PAGE_STATE)
      assert.equal(rmpEntry(head).large, false)
    },
  ),
]
table('3.3 PAGE_UNSMASH', boot, UNSMASH)

const PVALIDATE: readonly Row[] = [
  open('1: above VMPL 0 it is refused with 2, or is a #GP', 'validateAboveVmpl0', () => {
    make('Guest-Invalid', page)
    const other = { ...OPEN, validateAboveVmpl0: insn.GENERAL_PROTECTION } as const
    assert.equal(insn.pvalidate(page, at(0, { vmpl: 1 }), true), P)
    const code = insn.pvalidate(page, at(0, { vmpl: 1 }), true, other)
    assert.equal(code, insn.GENERAL_PROTECTION)
    assert.equal(pageState(page), 'Guest-Invalid')
  }),
  row('2: 2 MiB at an address that is not aligned is 1, whatever the page', 'A', VS, () => {
    assert.equal(insn.pvalidate(page, at(1, { large: true }), true), insn.FAIL_INPUT)
  }),
  ...STATES.filter((s) => !s.startsWith('Guest')).map((state) =>
    row(`3: on ${state} the walk faults`, 'A', VS, () => {
      make(state, page)
      assert.equal(insn.pvalidate(page, at(0), true), insn.NESTED_FAULT)
    }),
  ),
  row('3: of another guest, or at another address, the walk faults', 'A', VS, () => {
    make('Guest-Invalid', page, 3)
    assert.equal(insn.pvalidate(page, at(4), true), insn.NESTED_FAULT)
    assert.equal(insn.pvalidate(page, at(3, { asid: B }), true), insn.NESTED_FAULT)
  }),
  row('3: 4 KiB of a 2 MiB entry: a fault with SIZEM', 'A', `${LX}, KVM`, () => {
    ok(insn.rmpupdate(head, guest(8, { large: true })))
    assert.equal(insn.pvalidate(page, at(9), true), insn.NESTED_FAULT_SIZE)
  }),
  row('4: 2 MiB of a 4 KiB entry is 6', 'A', `${VS}, ${LX}`, () => {
    make('Guest-Invalid', head, 8)
    assert.equal(insn.pvalidate(head, at(8, { large: true }), true), insn.FAIL_SIZEMISMATCH)
  }),
  row('5: no change sets the carry flag, for which Linux says 255', 'A', VS, () => {
    make('Guest-Valid', page)
    assert.equal(insn.pvalidate(page, at(0), true), insn.PVALIDATE_FAIL_NOUPDATE)
  }),
  row('6: else Guest-Invalid becomes Guest-Valid, and back', 'A', VS, () => {
    make('Guest-Invalid', page)
    assert.equal(insn.pvalidate(page, at(0), true), 0)
    assert.equal(pageState(page), 'Guest-Valid')
    assert.equal(insn.pvalidate(page, at(0), false), 0)
    assert.equal(pageState(page), 'Guest-Invalid')
  }),
]
table('3.3 PVALIDATE, in the order of its checks', boot, PVALIDATE)

const RMPADJUST: readonly Row[] = [
  row('2 MiB at an address that is not aligned is 1', 'A', VS, () => {
    assert.equal(insn.rmpadjust(page, at(1, { large: true }), 0, 1, false), insn.FAIL_INPUT)
  }),
  row('for a level that is not lower than its own: 2', 'A', VS, () => {
    make('Guest-Invalid', page)
    assert.equal(insn.rmpadjust(page, at(0), 0, 1, false), P)
    assert.equal(insn.rmpadjust(page, at(0, { vmpl: 1 }), 1, 1, false), P)
  }),
  row('what PVALIDATE faults on, it faults on', 'A', VS, () => {
    assert.equal(insn.rmpadjust(page, at(0), 1, 1, false), insn.NESTED_FAULT)
    ok(insn.rmpupdate(head, guest(8, { large: true })))
    assert.equal(insn.rmpadjust(page, at(9), 1, 1, false), insn.NESTED_FAULT_SIZE)
  }),
  row('a page that is not validated: #VC', 'A', VS, () => {
    make('Guest-Invalid', page)
    assert.equal(insn.rmpadjust(page, at(0), 1, 1, false), insn.VC_NOT_VALIDATED)
  }),
  row('2 MiB of a 4 KiB entry is 6', 'A', VS, () => {
    make('Guest-Valid', head, 8)
    const code = insn.rmpadjust(head, at(8, { large: true }), 1, 1, false)
    assert.equal(code, insn.FAIL_SIZEMISMATCH)
  }),
  row("permissions beyond one's own: 2", 'A', VS, () => {
    make('Guest-Valid', page)
    ok(insn.rmpadjust(page, at(0), 1, 1, false))
    assert.equal(insn.rmpadjust(page, at(0, { vmpl: 1 }), 2, 3, false), P)
  }),
  row('else permissions and the VMSA bit are set', 'A', VS, () => {
    make('Guest-Valid', page)
    ok(insn.rmpadjust(page, at(0), 1, 3, true))
    assert.deepEqual([rmpEntry(page).vmplPerms, rmpEntry(page).vmsa], [3, true])
    assert.equal(pageState(page), 'Guest-Valid')
  }),
]
table('3.3 RMPADJUST, in the order of its checks', boot, RMPADJUST)

everySwitchIsTried([...ORDER, ...PSMASH, ...PVALIDATE], OPEN)
