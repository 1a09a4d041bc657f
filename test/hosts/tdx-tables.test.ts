/**
 * The tables of the TDX module, row by row; all of class A, from the generated table and the source
 * of the module 1.5.01, and none open. The matrix is written here once more, so that a mistake in
 * one of the two shows.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bootKernel } from '../../src/cell/boot.js'
import { designNamed } from '../../src/hosts/index.js'
import * as td from '../../src/hosts/tdx/module.js'
import * as sept from '../../src/hosts/tdx/sept.js'
import type { Gfn, Pfn } from '../../src/kernel/include/types.js'
import { allocFolio, pfnToFolio } from '../../src/kernel/mm/page_alloc.js'
import { type Blob, byteWithKey, withBytes, ZERO_PAGE } from '../../src/machine/blob.js'
import { constructAt, type Obj, type Struct } from '../../src/machine/struct.js'
import { notModelled, type Row, row, table } from './table.js'

const TM = 'TDX module 1.5.01'
const BAD = sept.TDX_EPT_ENTRY_STATE_INCORRECT

/** y: accepted; B: already blocked; the last column is the guest's ACCEPT: y, D done, S size, x exit. */
const MATRIX = `
                            ADD SADD AUG BLK UBL REM SREM REL DEM PRO EXT RD WR BW ACC
FREE                        y   y    y   -   -   -   -    -   -   -   -   -  -  -  x
REMOVED                     -   -    y   -   -   -   -    -   -   -   -   -  -  -  x
NL_MAPPED                   -   y    -   y   -   -   y    -   -   y   -   -  -  -  S
NL_BLOCKED                  -   -    -   B   y   -   y    -   -   y   -   -  -  -  S
MAPPED                      -   -    -   y   -   y   -    y   y   -   y   y  y  y  D
BLOCKED                     -   -    -   B   y   y   -    y   y   -   -   -  -  -  x
BLOCKEDW                    -   -    -   y   -   y   -    y   -   -   -   y  -  -  D
EXP_BLOCKEDW                -   -    -   -   -   -   -    y   -   -   -   y  -  -  D
EXP_DIRTY                   -   -    -   -   -   -   -    y   -   -   -   y  y  y  D
EXP_DIRTY_BLOCKEDW          -   -    -   -   -   -   -    y   -   -   -   y  -  -  D
PENDING                     -   -    -   y   -   y   -    y   y   -   -   -  -  y  y
PENDING_BLOCKED             -   -    -   B   y   y   -    y   y   -   -   -  -  -  x
PENDING_BLOCKEDW            -   -    -   y   -   y   -    y   -   -   -   -  -  -  x
PENDING_EXP_BLOCKEDW        -   -    -   -   -   -   -    y   -   -   -   -  -  -  x
PENDING_EXP_DIRTY           -   -    -   -   -   -   -    y   -   -   -   -  -  y  y
PENDING_EXP_DIRTY_BLOCKEDW  -   -    -   -   -   -   -    y   -   -   -   -  -  -  x
`
  .trim()
  .split('\n')
  .slice(1)
  .map((line) => line.split(/\s+/))

const ANSWER: Readonly<Record<string, number>> = {
  y: sept.TDX_SUCCESS,
  '-': BAD,
  B: sept.TDX_EPT_ENTRY_ALREADY_BLOCKED,
  D: sept.TDX_PAGE_ALREADY_ACCEPTED,
  S: sept.TDX_PAGE_SIZE_MISMATCH,
  x: sept.EPT_VIOLATION,
}

describe(`4.1: which call is legal in which state (A, ${TM})`, () => {
  for (const [state, ...cells] of MATRIX) {
    test(state!, () => {
      sept.SEPT_OPS.forEach((op, i) => {
        assert.equal(sept.legality(op, state as sept.SeptState), ANSWER[cells[i]!], op)
      })
      assert.equal(sept.acceptance(state as sept.SeptState), ANSWER[cells.at(-1)!], 'ACCEPT')
    })
  }
  test('every state has its row', () => {
    assert.deepEqual(MATRIX.map(([s]) => s).sort(), [...sept.SEPT_STATES].sort())
  })
})

const design = designNamed('gmem-6.18@tdx-6.19')!
const g = (n: number): Gfn => n as Gfn
const RUNNABLE = sept.OP_STATES.indexOf('RUNNABLE')
let page: Pfn
let other: Pfn
let t: td.Td

/** A TD in an op state, and two frames of the host's. */
function bootIn(opState: number): void {
  bootKernel(design, 'lowered')
  page = allocFolio(false).pfn
  other = allocFolio(false).pfn
  constructAt(td.Td as unknown as Struct<Obj>, td.Td.base, 0)
  t = td.Td.at(td.Td.base) as td.Td
  t.opState = opState
}
const boot = (): void => bootIn(RUNNABLE)
const ok = (code: number): void => assert.equal(code, 0)
const stateAt = (gfn: number): sept.SeptState => sept.septState(t.state.get(gfn))
const aug = (): void => ok(td.tdhMemPageAug(t, g(0), page))

/** The new state of a call, by the table alone. */
function becomes(
  op: sept.SeptOp,
  from: sept.SeptState,
  to: sept.SeptState,
  importing = false,
): Row {
  const name = `${op} of ${from}${importing ? ', in an import' : ''}: ${to}`
  return row(name, 'A', TM, () => assert.equal(sept.nextState(op, from, importing), to))
}

const NO_TABLES = 'a TD has entries of 4 KiB here, and no tables between'

table('4.1: the new state of a call that succeeds, and what else it does', boot, [
  becomes('ADD', 'FREE', 'MAPPED'),
  row("ADD: the content is encrypted, the page is the TD's", 'A', TM, () => {
    bootIn(sept.OP_STATES.indexOf('INITIALIZED'))
    const source = pfnToFolio(other)!
    source.data = withBytes(ZERO_PAGE, 0, 1, 0x5a)
    ok(td.pageAddBegin(t, g(0), page))
    td.pageAddCommit(t, g(0), pfnToFolio(page)!, source)
    assert.deepEqual(
      [stateAt(0), td.pamtOf(page).type, td.pamtOf(page).owner],
      ['MAPPED', td.PT_REG, td.tdNumber(t)],
    )
    assert.equal(byteWithKey(pfnToFolio(page)!.data as Blob, 0, td.keyOf(t, page)), 0x5a)
  }),
  becomes('AUG', 'FREE', 'PENDING'),
  becomes('AUG', 'REMOVED', 'PENDING'),
  row("AUG: the page is the TD's, its content untouched", 'A', TM, () => {
    const before = pfnToFolio(page)!.data
    aug()
    assert.deepEqual(
      [stateAt(0), td.pamtOf(page).type, t.blockedAge.get(0)],
      ['PENDING', td.PT_REG, 0],
    )
    assert.equal(pfnToFolio(page)!.data, before)
  }),
  becomes('BLOCK', 'MAPPED', 'BLOCKED'),
  becomes('BLOCK', 'BLOCKEDW', 'BLOCKED'),
  becomes('BLOCK', 'PENDING', 'PENDING_BLOCKED'),
  becomes('BLOCK', 'PENDING_BLOCKEDW', 'PENDING_BLOCKED'),
  becomes('BLOCK', 'NL_MAPPED', 'NL_BLOCKED'),
  becomes('UNBLOCK', 'BLOCKED', 'MAPPED'),
  becomes('UNBLOCK', 'PENDING_BLOCKED', 'PENDING'),
  becomes('UNBLOCK', 'NL_BLOCKED', 'NL_MAPPED'),
  notModelled('UNBLOCK: only what is tracked', 'A', TM, 'no call of it: KVM never unblocks'),
  row('TRACK: a new epoch', 'A', TM, () => {
    aug()
    ok(td.tdhMemRangeBlock(t, g(0)))
    ok(td.tdhMemTrack(t))
    assert.equal(t.blockedAge.get(0), 1)
  }),
  becomes('REMOVE', 'BLOCKED', 'FREE'),
  becomes('REMOVE', 'BLOCKED', 'REMOVED', true),
  row("REMOVE: the page is the host's, with the TD's ciphertext in it", 'A', TM, () => {
    aug()
    ok(td.acceptBegin(t, g(0)))
    td.acceptCommit(t, g(0))
    const { data } = pfnToFolio(page)!
    ok(td.tdhMemRangeBlock(t, g(0)))
    ok(td.tdhMemTrack(t))
    ok(td.tdhMemPageRemove(t, g(0)))
    assert.deepEqual([stateAt(0), td.pamtOf(page).type], ['FREE', td.PT_NDA])
    assert.equal(pfnToFolio(page)!.data, data)
  }),
  row('REMOVE in an import leaves REMOVED, which AUG takes', 'A', TM, () => {
    bootIn(sept.OP_STATES.indexOf('LIVE_IMPORT'))
    aug()
    ok(td.tdhMemRangeBlock(t, g(0)))
    ok(td.tdhMemTrack(t))
    ok(td.tdhMemPageRemove(t, g(0)))
    assert.equal(stateAt(0), 'REMOVED')
    aug()
  }),
  becomes('RELOCATE', 'MAPPED', 'MAPPED'),
  becomes('RELOCATE', 'BLOCKED', 'MAPPED'),
  becomes('RELOCATE', 'PENDING', 'PENDING'),
  becomes('RELOCATE', 'PENDING_BLOCKED', 'PENDING'),
  notModelled('RELOCATE: to another page', 'A', TM, 'no call of it: KVM never relocates'),
  becomes('SEPT.ADD', 'FREE', 'NL_MAPPED'),
  becomes('SEPT.REMOVE', 'NL_MAPPED', 'FREE'),
  notModelled('how many children a table has', 'A', TM, NO_TABLES),
  notModelled('SEPT.REMOVE: no children', 'A', TM, NO_TABLES),
  notModelled('PROMOTE and DEMOTE: a table for a leaf, and back', 'A', TM, NO_TABLES),
  row('ACCEPT of PENDING: MAPPED, and zeroed', 'A', TM, () => {
    aug()
    pfnToFolio(page)!.data = withBytes(ZERO_PAGE, 0, 1, 0x5a)
    ok(td.acceptBegin(t, g(0)))
    td.acceptCommit(t, g(0))
    assert.equal(stateAt(0), 'MAPPED')
    assert.equal(byteWithKey(pfnToFolio(page)!.data as Blob, 0, td.keyOf(t, page)), 0)
  }),
  row('ACCEPT of PENDING_EXP_DIRTY: EXP_DIRTY', 'A', TM, () => {
    assert.equal(sept.acceptedState('PENDING_EXP_DIRTY'), 'EXP_DIRTY')
  }),
  notModelled('ACCEPT of 2 MiB, in pieces', 'A', TM, NO_TABLES),
  row('PHYMEM.PAGE.RECLAIM: behind the end of the TD alone; content stays', 'A', TM, () => {
    aug()
    assert.equal(td.tdhPhymemPageReclaim(t, g(0)), sept.TDX_LIFECYCLE_STATE_INCORRECT)
    t.opState = td.TEARDOWN
    const { data } = pfnToFolio(page)!
    ok(td.tdhPhymemPageReclaim(t, g(0)))
    assert.deepEqual([td.pamtOf(page).type, pfnToFolio(page)!.data], [td.PT_NDA, data])
    assert.equal(td.tdhPhymemPageReclaim(t, g(0)), sept.TDX_PAGE_METADATA_INCORRECT)
  }),
  notModelled(
    'PHYMEM.PAGE.RECLAIM of a TDR with children: 0xC0000400',
    'A',
    TM,
    'TDs have no frames',
  ),
])

/** Op states by columns of the table; imports are four of them. */
const EXPORTS = ['LIVE_EXPORT', 'PAUSED_EXPORT', 'POST_EXPORT'] as const
const OP_TABLE: readonly (readonly [ops: readonly sept.TdOp[], legal: readonly sept.OpState[]])[] =
  [
    [['ADD', 'EXTEND', 'FINALIZE'], ['INITIALIZED']],
    [['AUG'], ['INITIALIZED', 'RUNNABLE', 'LIVE_EXPORT', 'LIVE_IMPORT']],
    [
      ['BLOCK', 'UNBLOCK', 'RELOCATE', 'PROMOTE', 'DEMOTE'],
      ['INITIALIZED', 'RUNNABLE', ...EXPORTS, 'POST_IMPORT', 'LIVE_IMPORT'],
    ],
    [
      ['REMOVE'],
      ['INITIALIZED', 'RUNNABLE', ...EXPORTS, 'POST_IMPORT', 'LIVE_IMPORT', 'FAILED_IMPORT'],
    ],
    [['SEPT.REMOVE'], sept.OP_STATES.filter((s) => s !== 'UNINITIALIZED')],
    [['TRACK'], sept.OP_STATES.filter((s) => s !== 'UNINITIALIZED' && s !== 'FAILED_IMPORT')],
    [['VP.ENTER'], ['RUNNABLE', 'LIVE_EXPORT', 'LIVE_IMPORT']],
  ]

table('4.1: which call is legal in which op state', boot, [
  ...OP_TABLE.flatMap(([ops, legal]) =>
    ops.map((op) =>
      row(`${op}: ${legal.join(', ')}`, 'A', TM, () => {
        assert.deepEqual(
          sept.OP_STATES.filter((s) => sept.legalIn(op, s)),
          legal,
        )
      }),
    ),
  ),
  row('tracking is in force where a vCPU can be inside', 'A', TM, () => {
    const inForce = sept.OP_STATES.filter((s) => sept.tracksIn(s))
    assert.deepEqual(inForce, ['RUNNABLE', 'LIVE_EXPORT', 'LIVE_IMPORT'])
  }),
  row('so before the TD is finalised, REMOVE needs neither BLOCK nor TRACK', 'A', TM, () => {
    bootIn(sept.OP_STATES.indexOf('INITIALIZED'))
    aug()
    ok(td.tdhMemPageRemove(t, g(0)))
  }),
])

/** Everything that the steps before an entry's state look at is wrong at once. */
function allWrong(treeWrong: () => void): void {
  t.tdrExclusive = 1
  t.opState = td.TEARDOWN
  treeWrong()
  t.entryLock.set(0, td.GUEST_LOCK)
}

/** Steps 1 to 6 of a call, one thing after the other put right; then it answers `then`. */
function firstErrors(call: () => number, treeWrong: () => void, treeRight: () => void): void {
  allWrong(treeWrong)
  assert.equal(call(), sept.TDX_OPERAND_BUSY, '1: the TDR')
  t.tdrExclusive = 0
  assert.equal(call(), sept.TDX_OP_STATE_INCORRECT, '2: the op state')
  t.opState = RUNNABLE
  assert.equal(call(), sept.TDX_OPERAND_BUSY, '4: the tree')
  assert.equal(t.hostPriority.get(0), 0)
  treeRight()
  assert.equal(call(), sept.TDX_OPERAND_BUSY, '6: the entry')
  assert.equal(t.hostPriority.get(0), 1, '6: the host goes first now')
  t.entryLock.set(0, td.UNLOCKED)
}

const exclusive = [
  () => {
    t.treeExclusive = 1
  },
  () => {
    t.treeExclusive = 0
  },
] as const
const byOther = [
  () => {
    t.treeShared = 1
  },
  () => {
    t.treeShared = 0
  },
] as const

table('4.1: the first error of a call, in its order', boot, [
  row('1, 2, 4, 6 of AUG, which shares the tree', 'A', TM, () => {
    firstErrors(() => td.tdhMemPageAug(t, g(0), page), ...exclusive)
    t.treeShared = 1
    aug()
  }),
  row('7 of AUG: the state', 'A', TM, () => {
    aug()
    assert.equal(td.tdhMemPageAug(t, g(0), page), BAD)
  }),
  row('8 of AUG: the page is not free', 'A', TM, () => {
    aug()
    assert.equal(td.tdhMemPageAug(t, g(1), page), sept.TDX_PAGE_METADATA_INCORRECT)
    ok(td.tdhMemPageAug(t, g(1), other))
  }),
  row('1, 2, 4, 6 of REMOVE, which shares the tree', 'A', TM, () => {
    aug()
    firstErrors(() => td.tdhMemPageRemove(t, g(0)), ...exclusive)
    t.treeShared = 1
    assert.equal(td.tdhMemPageRemove(t, g(0)), sept.TDX_GPA_RANGE_NOT_BLOCKED)
  }),
  row('7 of REMOVE: the state', 'A', TM, () => {
    assert.equal(td.tdhMemPageRemove(t, g(0)), BAD)
  }),
  row('9 of REMOVE: blocked, then tracked', 'A', TM, () => {
    aug()
    assert.equal(td.tdhMemPageRemove(t, g(0)), sept.TDX_GPA_RANGE_NOT_BLOCKED)
    ok(td.tdhMemRangeBlock(t, g(0)))
    assert.equal(td.tdhMemPageRemove(t, g(0)), sept.TDX_TLB_TRACKING_NOT_DONE)
    ok(td.tdhMemTrack(t))
    ok(td.tdhMemPageRemove(t, g(0)))
  }),
  row('1, 2, 4, 6 of BLOCK, which wants the tree for itself', 'A', TM, () => {
    aug()
    firstErrors(() => td.tdhMemRangeBlock(t, g(0)), ...byOther)
    t.treeExclusive = 1
    assert.equal(td.tdhMemRangeBlock(t, g(0)), sept.TDX_OPERAND_BUSY)
  }),
  row('7 of BLOCK: done already, or the state', 'A', TM, () => {
    assert.equal(td.tdhMemRangeBlock(t, g(0)), BAD)
    aug()
    ok(td.tdhMemRangeBlock(t, g(0)))
    assert.equal(td.tdhMemRangeBlock(t, g(0)), sept.TDX_EPT_ENTRY_ALREADY_BLOCKED)
  }),
  row('9 of REMOVE: blocked for writing alone is not blocked', 'A', TM, () => {
    aug()
    t.state.set(0, sept.SEPT_STATE.BLOCKEDW)
    assert.equal(td.tdhMemPageRemove(t, g(0)), sept.TDX_GPA_RANGE_NOT_BLOCKED)
  }),
  row('of ACCEPT: the tree, the host that goes first, the entry, then its state', 'A', TM, () => {
    aug()
    t.treeExclusive = 1
    t.hostPriority.set(0, 1)
    t.entryLock.set(0, td.GUEST_LOCK)
    t.state.set(0, sept.SEPT_STATE.MAPPED)
    assert.equal(td.acceptBegin(t, g(0)), sept.TDX_OPERAND_BUSY)
    t.treeExclusive = 0
    assert.equal(td.acceptBegin(t, g(0)), sept.TDX_OPERAND_BUSY_HOST_PRIORITY)
    t.hostPriority.set(0, 0)
    assert.equal(td.acceptBegin(t, g(0)), sept.TDX_OPERAND_BUSY)
    t.entryLock.set(0, td.UNLOCKED)
    assert.equal(td.acceptBegin(t, g(0)), sept.TDX_PAGE_ALREADY_ACCEPTED)
    assert.equal(td.acceptBegin(t, g(1)), sept.EPT_VIOLATION)
  }),
  notModelled('3: level and address: OPERAND_INVALID', 'A', TM, NO_TABLES),
  notModelled('5: the walk: EPT_WALK_FAILED', 'A', TM, NO_TABLES),
  notModelled(
    "8: the lock of the page's metadata: OPERAND_BUSY",
    'A',
    TM,
    'it is held for one step',
  ),
  notModelled('1 to 9 of RELOCATE', 'A', TM, 'no call of it: KVM never relocates'),
])

table('4.1: tracked', boot, [
  row('a vCPU that was inside when the page was blocked must have left', 'A', TM, () => {
    aug()
    ok(td.tdhVpEnter(t, 3))
    ok(td.tdhMemRangeBlock(t, g(0)))
    assert.equal(td.isTracked(t, g(0)), false)
    ok(td.tdhMemTrack(t))
    assert.equal(td.isTracked(t, g(0)), false)
    td.tdExit(t, 3)
    assert.equal(td.isTracked(t, g(0)), true)
  }),
  row('TRACK while one is inside since the epoch before: 0x80000201', 'A', TM, () => {
    ok(td.tdhVpEnter(t, 3))
    ok(td.tdhMemTrack(t))
    assert.equal(td.tdhMemTrack(t), sept.TDX_PREVIOUS_TLB_EPOCH_BUSY)
  }),
  row('who enters later counts for the new epoch', 'A', TM, () => {
    aug()
    ok(td.tdhMemRangeBlock(t, g(0)))
    ok(td.tdhMemTrack(t))
    ok(td.tdhVpEnter(t, 3))
    assert.equal(td.isTracked(t, g(0)), true)
    ok(td.tdhMemTrack(t))
    assert.equal(td.isTracked(t, g(0)), true)
  }),
  notModelled('a TD that migrates: never tracked', 'A', TM, 'no TD migrates here'),
])

table('4.2: the guest and the host at one entry', boot, [
  row('a host call that loses goes before the guest, until one wins', 'A', TM, () => {
    aug()
    ok(td.acceptBegin(t, g(0)))
    assert.equal(td.tdhMemPageRemove(t, g(0)), sept.TDX_OPERAND_BUSY)
    td.acceptCommit(t, g(0))
    assert.equal(td.acceptBegin(t, g(0)), sept.TDX_OPERAND_BUSY_HOST_PRIORITY)
    ok(td.tdhMemRangeBlock(t, g(0)))
    assert.equal(t.hostPriority.get(0), 0)
    assert.equal(td.acceptBegin(t, g(0)), sept.EPT_VIOLATION)
  }),
])
