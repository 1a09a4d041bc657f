/**
 * The tables of the TDX module, row by row; all of class A, from the generated table of the module
 * 1.5.01. The matrix is written here once more, so that a mistake in one of the two shows.
 */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { bootKernel } from '../../src/cell/boot.js'
import { designNamed } from '../../src/hosts/index.js'
import * as td from '../../src/hosts/tdx/module.js'
import * as sept from '../../src/hosts/tdx/sept.js'
import type { Gfn, Pfn } from '../../src/kernel/include/types.js'
import { allocFolio } from '../../src/kernel/mm/page_alloc.js'
import { constructAt, type Obj, type Struct } from '../../src/machine/struct.js'

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

describe('4.1: which call is legal in which state', () => {
  for (const [state, ...row] of MATRIX) {
    test(state!, () => {
      sept.SEPT_OPS.forEach((op, i) => {
        assert.equal(sept.legality(op, state as sept.SeptState), ANSWER[row[i]!], op)
      })
      assert.equal(sept.acceptance(state as sept.SeptState), ANSWER[row.at(-1)!], 'ACCEPT')
    })
  }
  test('every state has its row', () => {
    assert.deepEqual(MATRIX.map(([s]) => s).sort(), [...sept.SEPT_STATES].sort())
  })
})

test('4.1: the new state of a call that succeeds', () => {
  const rows: readonly [sept.SeptOp, sept.SeptState, sept.SeptState][] = [
    ['ADD', 'FREE', 'MAPPED'],
    ['AUG', 'FREE', 'PENDING'],
    ['AUG', 'REMOVED', 'PENDING'],
    ['BLOCK', 'MAPPED', 'BLOCKED'],
    ['BLOCK', 'BLOCKEDW', 'BLOCKED'],
    ['BLOCK', 'PENDING', 'PENDING_BLOCKED'],
    ['BLOCK', 'PENDING_BLOCKEDW', 'PENDING_BLOCKED'],
    ['BLOCK', 'NL_MAPPED', 'NL_BLOCKED'],
    ['UNBLOCK', 'BLOCKED', 'MAPPED'],
    ['UNBLOCK', 'PENDING_BLOCKED', 'PENDING'],
    ['UNBLOCK', 'NL_BLOCKED', 'NL_MAPPED'],
    ['REMOVE', 'BLOCKED', 'FREE'],
    ['SEPT.ADD', 'FREE', 'NL_MAPPED'],
    ['SEPT.REMOVE', 'NL_MAPPED', 'FREE'],
  ]
  for (const [op, from, to] of rows) assert.equal(sept.nextState(op, from), to, `${op} of ${from}`)
})

describe('4.1: which call is legal in which op state', () => {
  const row = (op: sept.TdOp): string[] => sept.OP_STATES.filter((s) => sept.legalIn(op, s))
  test('what builds a TD', () => {
    for (const op of ['ADD', 'EXTEND', 'FINALIZE'] as const) {
      assert.deepEqual(row(op), ['INITIALIZED'])
    }
  })
  test('AUG is legal before the TD is finalised', () => {
    assert.deepEqual(row('AUG'), ['INITIALIZED', 'RUNNABLE', 'LIVE_EXPORT', 'LIVE_IMPORT'])
  })
  test('what takes away, tracks and enters', () => {
    assert.ok(row('REMOVE').includes('FAILED_IMPORT'))
    assert.ok(!row('BLOCK').includes('FAILED_IMPORT'))
    assert.ok(!row('TRACK').includes('FAILED_IMPORT'))
    assert.ok(row('TRACK').includes('MEMORY_IMPORT'))
    assert.deepEqual(row('VP.ENTER'), ['RUNNABLE', 'LIVE_EXPORT', 'LIVE_IMPORT'])
  })
  test('tracking is in force only where a vCPU can be inside', () => {
    const inForce = sept.OP_STATES.filter((s) => sept.tracksIn(s))
    assert.deepEqual(inForce, ['RUNNABLE', 'LIVE_EXPORT', 'LIVE_IMPORT'])
  })
})

const design = designNamed('gmem-6.18@tdx-6.19')!
const g = (n: number): Gfn => n as Gfn
const RUNNABLE = sept.OP_STATES.indexOf('RUNNABLE')
let page: Pfn
let other: Pfn

function boot(opState = RUNNABLE): td.Td {
  bootKernel(design, 'lowered')
  page = allocFolio(false).pfn
  other = allocFolio(false).pfn
  constructAt(td.Td as unknown as Struct<Obj>, td.Td.base, 0)
  const t = td.Td.at(td.Td.base) as td.Td
  t.opState = opState
  return t
}

const ok = (code: number): void => assert.equal(code, 0)

describe('4.1: the first error of a call, in its order', () => {
  let t: td.Td
  beforeEach(() => {
    t = boot()
    ok(td.tdhMemPageAug(t, g(0), page))
  })
  test('AUG: TDR, op state, tree, entry, state, metadata', () => {
    const wrong = (code: number): void => assert.equal(td.tdhMemPageAug(t, g(0), page), code)
    // Everything is wrong at once; then one thing after the other is put right.
    t.tdrExclusive = 1
    t.opState = td.TEARDOWN
    t.treeExclusive = 1
    t.entryLock.set(0, td.GUEST_LOCK)
    wrong(sept.TDX_OPERAND_BUSY)
    t.tdrExclusive = 0
    wrong(sept.TDX_OP_STATE_INCORRECT)
    t.opState = RUNNABLE
    wrong(sept.TDX_OPERAND_BUSY)
    assert.equal(t.hostPriority.get(0), 0)
    t.treeExclusive = 0
    wrong(sept.TDX_OPERAND_BUSY)
    assert.equal(t.hostPriority.get(0), 1)
    t.entryLock.set(0, td.UNLOCKED)
    wrong(BAD)
    assert.equal(td.tdhMemPageAug(t, g(1), page), sept.TDX_PAGE_METADATA_INCORRECT)
    ok(td.tdhMemPageAug(t, g(1), other))
  })
  test('REMOVE: state, blocked, tracked', () => {
    assert.equal(td.tdhMemPageRemove(t, g(1)), BAD)
    assert.equal(td.tdhMemPageRemove(t, g(0)), sept.TDX_GPA_RANGE_NOT_BLOCKED)
    ok(td.tdhMemRangeBlock(t, g(0)))
    assert.equal(td.tdhMemPageRemove(t, g(0)), sept.TDX_TLB_TRACKING_NOT_DONE)
    ok(td.tdhMemTrack(t))
    ok(td.tdhMemPageRemove(t, g(0)))
    assert.deepEqual([t.state.get(0), td.pamtOf(page).type], [sept.SEPT_STATE.FREE, td.PT_NDA])
  })
  test('before a TD is finalised, REMOVE needs neither', () => {
    t = boot(sept.OP_STATES.indexOf('INITIALIZED'))
    ok(td.tdhMemPageAug(t, g(0), page))
    ok(td.tdhMemPageRemove(t, g(0)))
  })
  test('BLOCK wants the tree for itself, and says if it was done', () => {
    t.treeShared = 1
    assert.equal(td.tdhMemRangeBlock(t, g(0)), sept.TDX_OPERAND_BUSY)
    t.treeShared = 0
    ok(td.tdhMemRangeBlock(t, g(0)))
    assert.equal(td.tdhMemRangeBlock(t, g(0)), sept.TDX_EPT_ENTRY_ALREADY_BLOCKED)
  })
  test('a page is reclaimed behind the end of the TD alone', () => {
    assert.equal(td.tdhPhymemPageReclaim(t, g(0)), sept.TDX_LIFECYCLE_STATE_INCORRECT)
    t.opState = td.TEARDOWN
    ok(td.tdhPhymemPageReclaim(t, g(0)))
    assert.equal(td.tdhPhymemPageReclaim(t, g(0)), sept.TDX_PAGE_METADATA_INCORRECT)
  })
})

describe('4.1: tracked', () => {
  test('a vCPU that was inside when the page was blocked must have left', () => {
    const t = boot()
    ok(td.tdhMemPageAug(t, g(0), page))
    ok(td.tdhVpEnter(t, 3))
    ok(td.tdhMemRangeBlock(t, g(0)))
    assert.equal(td.isTracked(t, g(0)), false)
    ok(td.tdhMemTrack(t))
    assert.equal(td.isTracked(t, g(0)), false)
    assert.equal(td.tdhMemTrack(t), sept.TDX_PREVIOUS_TLB_EPOCH_BUSY)
    td.tdExit(t, 3)
    assert.equal(td.isTracked(t, g(0)), true)
    ok(td.tdhVpEnter(t, 3))
    assert.equal(td.isTracked(t, g(0)), true)
    ok(td.tdhMemTrack(t))
    assert.equal(td.isTracked(t, g(0)), true)
  })
})

describe('4.2: the guest and the host at one entry', () => {
  test('a host call that loses goes before the guest, until one wins', () => {
    const t = boot()
    ok(td.tdhMemPageAug(t, g(0), page))
    ok(td.acceptBegin(t, g(0)))
    assert.equal(td.tdhMemPageRemove(t, g(0)), sept.TDX_OPERAND_BUSY)
    td.acceptCommit(t, g(0))
    assert.equal(td.acceptBegin(t, g(0)), sept.TDX_OPERAND_BUSY_HOST_PRIORITY)
    ok(td.tdhMemRangeBlock(t, g(0)))
    assert.equal(t.hostPriority.get(0), 0)
    assert.equal(td.acceptBegin(t, g(0)), sept.EPT_VIOLATION)
  })
})
