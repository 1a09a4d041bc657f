/**
 * The TDX module: the calls of the host about a TD's pages (TDH.*), and the TD's own (TDG.*). Each
 * host call is one step here, and checks in the module's order; the first error is what it answers.
 * Its locks are tried and never waited for. What takes a while takes two steps, with a lock in
 * between: the guest's ACCEPT with the entry, PAGE.ADD and VP.INIT with the TDR.
 *
 * Tables: 4.1 and 4.2, from the TDX module 1.5.01. Epochs are kept as what they are compared by: of
 * a vCPU, whether it entered in the present epoch or the one before, of an entry, how many epochs ago
 * it was blocked, 2 for more.
 *
 * Left out: tables of the S-EPT, so a walk never fails; metadata of 2 MiB; measuring; key ids.
 */
import { Kvm } from '../../kernel/include/kvm.js'
import type { Folio } from '../../kernel/include/mm.js'
import type { Gfn, Pfn } from '../../kernel/include/types.js'
import { pfnToFolio } from '../../kernel/mm/page_alloc.js'
import { type Blob, keyedByte, rekey, withBytes, ZERO_PAGE } from '../../machine/blob.js'
import { alsoReads, alsoWrites } from '../../machine/effects.js'
import { LimitError, tracepoint } from '../../machine/fault.js'
import {
  constructAt,
  isAlive,
  num,
  numberIn,
  type Obj,
  type Struct,
  struct,
  type Vec,
  vec,
} from '../../machine/struct.js'
import { MAX_TASKS } from '../../machine/task.js'
import {
  acceptance,
  acceptedState,
  importsIn,
  isBlocked,
  legalIn,
  legality,
  nextState,
  OP_STATES,
  type OpState,
  SEPT_STATE,
  type SeptOp,
  septState,
  TDX_GPA_RANGE_NOT_BLOCKED,
  TDX_LIFECYCLE_STATE_INCORRECT,
  TDX_OP_STATE_INCORRECT,
  TDX_OPERAND_BUSY,
  TDX_OPERAND_BUSY_HOST_PRIORITY,
  TDX_PAGE_METADATA_INCORRECT,
  TDX_PREVIOUS_TLB_EPOCH_BUSY,
  TDX_SUCCESS,
  TDX_TLB_TRACKING_NOT_DONE,
  tracksIn,
} from './sept.js'

/** What the module's own table, the PAMT, says of a frame. */
export const PT_NDA = 0
export const PT_REG = 1

export interface Pamt extends Obj {
  /** PT_NDA: the host's; PT_REG: a TD's. */
  type: number
  /** Number of the TD, + 1; 0 for none. */
  owner: number
}

/** Frames that there is an entry for. */
const COVERED = 512

export const Pamt: Struct<Pamt> = struct<Pamt>(
  'Pamt',
  { type: num(), owner: num() },
  { capacity: COVERED },
)

/** Guest frames whose entries are kept. */
export const GUEST_FRAMES = 16

/** Who holds the lock of an entry. */
export const UNLOCKED = 0
export const GUEST_LOCK = 1

/** TDR and TDCS of a TD, with its S-EPT. */
export interface Td extends Obj {
  /** Index of an `OpState`; behind the last one: the key is gone, and pages are reclaimed. */
  opState: number
  /** Somebody has the TDR to himself. */
  tdrExclusive: number
  /** The tree of the S-EPT: holders for their share, and who has it to himself. */
  treeShared: number
  treeExclusive: number
  /** By gfn: SEPT_STATE, frame, epochs since it was blocked, lock, host-priority bit. */
  state: Vec
  pfn: Vec
  blockedAge: Vec
  entryLock: Vec
  hostPriority: Vec
  /** By task, of its vCPU: 0 outside, 1 inside since the present epoch, 2 since the one before. */
  inside: Vec
  /** By task: its vCPU's translations are of an epoch that is over; it drops them when it enters. */
  staleTlb: Vec
}

export const Td: Struct<Td> = struct<Td>(
  'Td',
  {
    opState: num(),
    tdrExclusive: num(),
    treeShared: num(),
    treeExclusive: num(),
    state: vec(GUEST_FRAMES),
    pfn: vec(GUEST_FRAMES),
    blockedAge: vec(GUEST_FRAMES),
    entryLock: vec(GUEST_FRAMES),
    hostPriority: vec(GUEST_FRAMES),
    inside: vec(MAX_TASKS),
    staleTlb: vec(MAX_TASKS),
  },
  { capacity: Kvm.capacity },
)

/** Of a TD whose key is given back: TEARDOWN. */
export const TEARDOWN = OP_STATES.length

/** Power-on: every frame is the host's. */
export function tdxPowerOn(): void {
  const pamt = Pamt as unknown as Struct<Obj>
  for (let pfn = 0; pfn < COVERED; pfn++) constructAt(pamt, Pamt.base + pfn * Pamt.words, 0)
}

/** Has the module metadata for the frame? */
export function isCovered(pfn: Pfn): boolean {
  return pfn < COVERED
}

export function pamtOf(pfn: Pfn): Pamt {
  if (!isCovered(pfn)) throw new LimitError(`the TDX module has metadata of pfns below ${COVERED}`)
  return Pamt.at(Pamt.base + pfn * Pamt.words) as Pamt
}

/** Number of a TD, from 1. */
export function tdNumber(td: Td): number {
  return numberIn(Td, td) + 1
}

/** Whose a frame is: its type in the PAMT and, of a TD's, which entries of the S-EPT lead to it. */
export function ownerOf(pfn: Pfn): string {
  if (!isCovered(pfn) || pamtOf(pfn).type === PT_NDA) return 'PT_NDA'
  const { owner } = pamtOf(pfn)
  const td = Td.at(Td.base + (owner - 1) * Td.words) as Td
  if (!isAlive(Td, td)) return `PT_REG, TD ${owner}`
  const entries = Array.from({ length: GUEST_FRAMES }, (_, gfn) => gfn)
    .filter((gfn) => td.state.get(gfn) !== SEPT_STATE.FREE && td.pfn.get(gfn) === pfn)
    .map((gfn) => `, S-EPT 0x${gfn.toString(16)} ${septState(td.state.get(gfn))}`)
  return `PT_REG, TD ${owner}${entries.join('')}`
}

/** The key of a TD at a frame: the same bytes are other ciphertext elsewhere. */
export function keyOf(td: Td, pfn: Pfn): number {
  return tdNumber(td) * 4096 + pfn
}

export function checkedGfn(gfn: Gfn): number {
  if (gfn < GUEST_FRAMES) return gfn
  throw new LimitError(`a TD has entries for gfns below ${GUEST_FRAMES}`)
}

export function opStateOf(td: Td): OpState {
  return OP_STATES[td.opState] as OpState
}

/** The announced field of a TD, and of a frame, stands for all of it. */
function touch(td: Td, pamt: Pamt | undefined = undefined): void {
  alsoWrites(td, 'state')
  if (pamt !== undefined) alsoWrites(pamt, 'type')
}

/** Steps 1 and 2 of every call: the TDR for its share, the op state. */
function begin(td: Td, op: 'AUG' | 'BLOCK' | 'REMOVE' | 'TRACK'): number {
  touch(td)
  if (td.tdrExclusive !== 0) {
    tracepoint('tdx_tdr_contended', op)
    return TDX_OPERAND_BUSY
  }
  if (td.opState >= TEARDOWN || legalIn(op, opStateOf(td)) !== true) return TDX_OP_STATE_INCORRECT
  return TDX_SUCCESS
}

/** The tree for one's share, then the entry. A host call that loses the entry leaves its mark. */
function lockShared(td: Td, gfn: Gfn): number {
  if (td.treeExclusive !== 0) return TDX_OPERAND_BUSY
  if (td.entryLock.get(checkedGfn(gfn)) !== UNLOCKED) {
    td.hostPriority.set(gfn, 1)
    return TDX_OPERAND_BUSY
  }
  td.hostPriority.set(gfn, 0)
  return TDX_SUCCESS
}

function told(op: SeptOp | 'TRACK', code: number): number {
  tracepoint('tdx_seamcall', op, code)
  return code
}

/** TDH.MEM.PAGE.AUG: a page for a TD that is built; it is the guest's when the guest accepts it. */
export function tdhMemPageAug(td: Td, gfn: Gfn, pfn: Pfn): number {
  const pamt = pamtOf(pfn)
  let code = begin(td, 'AUG')
  if (code === TDX_SUCCESS) code = lockShared(td, gfn)
  if (code === TDX_SUCCESS) code = legality('AUG', septState(td.state.get(gfn)))
  if (code === TDX_SUCCESS && pamt.type !== PT_NDA) code = TDX_PAGE_METADATA_INCORRECT
  if (code !== TDX_SUCCESS) return told('AUG', code)
  touch(td, pamt)
  pamt.type = PT_REG
  pamt.owner = tdNumber(td)
  td.state.set(gfn, SEPT_STATE.PENDING)
  td.pfn.set(gfn, pfn)
  td.blockedAge.set(gfn, 0)
  return TDX_SUCCESS
}

/**
 * TDH.MEM.PAGE.ADD, until it has the TDR to itself and nothing is wrong: a page for a TD that is not
 * built yet. What it copies takes a while, so the rest is another step.
 */
export function pageAddBegin(td: Td, gfn: Gfn, pfn: Pfn): number {
  const pamt = pamtOf(pfn)
  let code = lockTdr(td)
  if (code !== TDX_SUCCESS) return told('ADD', code)
  if (td.opState >= TEARDOWN || legalIn('ADD', opStateOf(td)) !== true) {
    code = TDX_OP_STATE_INCORRECT
  }
  if (code === TDX_SUCCESS) code = legality('ADD', septState(td.state.get(checkedGfn(gfn))))
  if (code === TDX_SUCCESS && pamt.type !== PT_NDA) code = TDX_PAGE_METADATA_INCORRECT
  if (code === TDX_SUCCESS) return code
  unlockTdr(td)
  return told('ADD', code)
}

/** The rest: the content is encrypted for the TD, which has accepted the page as it is. */
export function pageAddCommit(td: Td, gfn: Gfn, folio: Folio, source: Folio): void {
  const { pfn } = folio
  touch(td, pamtOf(pfn))
  pamtOf(pfn).type = PT_REG
  pamtOf(pfn).owner = tdNumber(td)
  alsoReads(source, 'data')
  alsoWrites(folio, 'data')
  folio.data = rekey(source.data as Blob, 0, keyOf(td, pfn))
  td.state.set(checkedGfn(gfn), SEPT_STATE.MAPPED)
  td.pfn.set(gfn, pfn)
  td.blockedAge.set(gfn, 0)
  unlockTdr(td)
}

/** TDH.MEM.RANGE.BLOCK: nobody translates by the entry any more; who has done so keeps that. */
export function tdhMemRangeBlock(td: Td, gfn: Gfn): number {
  let code = begin(td, 'BLOCK')
  if (code === TDX_SUCCESS && (td.treeShared > 0 || td.treeExclusive !== 0)) code = TDX_OPERAND_BUSY
  if (code === TDX_SUCCESS) code = lockShared(td, gfn)
  const state = septState(td.state.get(checkedGfn(gfn)))
  if (code === TDX_SUCCESS) code = legality('BLOCK', state)
  if (code !== TDX_SUCCESS) return told('BLOCK', code)
  td.state.set(gfn, SEPT_STATE[nextState('BLOCK', state)!])
  td.blockedAge.set(gfn, 0)
  return TDX_SUCCESS
}

/** Vcpus that are inside since the epoch before the present one. */
function insideBefore(td: Td): boolean {
  for (let n = 0; n < td.inside.length; n++) if (td.inside.get(n) === 2) return true
  return false
}

/** TDH.MEM.TRACK: a new epoch; vCPUs drop their translations when they enter in it. */
export function tdhMemTrack(td: Td): number {
  const code = begin(td, 'TRACK')
  if (code !== TDX_SUCCESS) return told('TRACK', code)
  if (insideBefore(td)) return told('TRACK', TDX_PREVIOUS_TLB_EPOCH_BUSY)
  for (let n = 0; n < td.inside.length; n++) {
    if (td.inside.get(n) === 1) td.inside.set(n, 2)
    td.staleTlb.set(n, 1)
  }
  for (let gfn = 0; gfn < td.blockedAge.length; gfn++) {
    if (isBlocked(septState(td.state.get(gfn)))) {
      td.blockedAge.set(gfn, Math.min(2, td.blockedAge.get(gfn) + 1))
    }
  }
  return TDX_SUCCESS
}

/** Can nobody have a translation by the entry any more? */
export function isTracked(td: Td, gfn: Gfn): boolean {
  const age = td.blockedAge.get(gfn)
  return age >= 2 || (age === 1 && !insideBefore(td))
}

/** TDH.MEM.PAGE.REMOVE: the page is the host's again, with the TD's ciphertext in it. */
export function tdhMemPageRemove(td: Td, gfn: Gfn): number {
  let code = begin(td, 'REMOVE')
  if (code === TDX_SUCCESS) code = lockShared(td, gfn)
  const state = septState(td.state.get(checkedGfn(gfn)))
  if (code === TDX_SUCCESS) code = legality('REMOVE', state)
  if (code === TDX_SUCCESS && tracksIn(opStateOf(td))) {
    if (!isBlocked(state)) code = TDX_GPA_RANGE_NOT_BLOCKED
    else if (!isTracked(td, gfn)) code = TDX_TLB_TRACKING_NOT_DONE
  }
  if (code !== TDX_SUCCESS) return told('REMOVE', code)
  const left = nextState('REMOVE', state, importsIn(opStateOf(td)))!
  free(td, gfn)
  td.state.set(gfn, SEPT_STATE[left])
  return TDX_SUCCESS
}

function free(td: Td, gfn: Gfn): void {
  const pamt = pamtOf(td.pfn.get(gfn) as Pfn)
  touch(td, pamt)
  pamt.type = PT_NDA
  pamt.owner = 0
  td.state.set(gfn, SEPT_STATE.FREE)
  td.pfn.set(gfn, 0)
  td.blockedAge.set(gfn, 0)
  td.hostPriority.set(gfn, 0)
}

/** TDH.PHYMEM.PAGE.RECLAIM, of a TD's page once its key is gone. */
export function tdhPhymemPageReclaim(td: Td, gfn: Gfn): number {
  touch(td)
  if (td.opState !== TEARDOWN) return TDX_LIFECYCLE_STATE_INCORRECT
  if (td.state.get(checkedGfn(gfn)) === SEPT_STATE.FREE) return TDX_PAGE_METADATA_INCORRECT
  free(td, gfn)
  return TDX_SUCCESS
}

/** The TDR for oneself, as TDH.VP.INIT needs it in the version of the leaf that Linux calls. */
export function lockTdr(td: Td): number {
  touch(td)
  if (td.tdrExclusive !== 0) return TDX_OPERAND_BUSY
  td.tdrExclusive = 1
  return TDX_SUCCESS
}

export function unlockTdr(td: Td): void {
  touch(td)
  td.tdrExclusive = 0
}

/** TDH.MR.FINALIZE: the TD is built, and can run. It has the TDR to itself. */
export function tdhMrFinalize(td: Td): number {
  touch(td)
  if (td.tdrExclusive !== 0) return TDX_OPERAND_BUSY
  if (td.opState >= TEARDOWN || legalIn('FINALIZE', opStateOf(td)) !== true) {
    return TDX_OP_STATE_INCORRECT
  }
  td.opState = OP_STATES.indexOf('RUNNABLE')
  return TDX_SUCCESS
}

/** TDH.VP.ENTER: the vCPU counts for the present epoch, and has no translation of an older one. */
export function tdhVpEnter(td: Td, task: number): number {
  touch(td)
  if (td.opState >= TEARDOWN || legalIn('VP.ENTER', opStateOf(td)) !== true) {
    return TDX_OP_STATE_INCORRECT
  }
  td.inside.set(task, 1)
  return TDX_SUCCESS
}

/** A TD exit. */
export function tdExit(td: Td, task: number): void {
  touch(td)
  td.inside.set(task, 0)
}

/** TDG.MEM.PAGE.ACCEPT, until the entry is locked: what it finds there, or why it can't lock it. */
export function acceptBegin(td: Td, gfn: Gfn): number {
  touch(td)
  if (td.treeExclusive !== 0) return TDX_OPERAND_BUSY
  if (td.hostPriority.get(checkedGfn(gfn)) !== 0) return TDX_OPERAND_BUSY_HOST_PRIORITY
  if (td.entryLock.get(gfn) !== UNLOCKED) return TDX_OPERAND_BUSY
  const code = acceptance(septState(td.state.get(gfn)))
  if (code !== TDX_SUCCESS) return code
  td.treeShared += 1
  td.entryLock.set(gfn, GUEST_LOCK)
  return TDX_SUCCESS
}

/** The rest: the page is zeroed under the TD's key, and mapped. */
export function acceptCommit(td: Td, gfn: Gfn): void {
  touch(td)
  const pfn = td.pfn.get(checkedGfn(gfn)) as Pfn
  const folio = pfnToFolio(pfn)!
  alsoWrites(folio, 'data')
  folio.data = withBytes(ZERO_PAGE, 0, 4096, keyedByte(0, keyOf(td, pfn)))
  td.state.set(gfn, SEPT_STATE[acceptedState(septState(td.state.get(gfn)))])
  td.entryLock.set(gfn, UNLOCKED)
  td.treeShared -= 1
}

/** What the walk of a guest's access finds: the page, NULL for an exit; PENDING is a matter of its own. */
export function septPage(td: Td, gfn: Gfn): Folio | null {
  alsoReads(td, 'state')
  if (td.state.get(checkedGfn(gfn)) !== SEPT_STATE.MAPPED) return null
  return pfnToFolio(td.pfn.get(gfn) as Pfn)
}

/** Did the access fail on a page that the guest has not accepted? */
export function isPending(td: Td, gfn: Gfn): boolean {
  alsoReads(td, 'state')
  return td.state.get(checkedGfn(gfn)) === SEPT_STATE.PENDING
}
