/**
 * The secure EPT of a TD: in which states an entry can be, and which call the TDX module accepts in
 * which. The matrix is data; the calls in `module.ts` and the tests read the same.
 *
 * Tables: 4.1, from the TDX module 1.5.01. Here a TD has entries of 4 KiB; those of tables, and of
 * live migration, are in the matrix and no call leads there.
 */

/** States of an entry, by the numbers of the public interface. */
export const SEPT_STATE = {
  FREE: 0,
  BLOCKED: 1,
  PENDING: 2,
  PENDING_BLOCKED: 3,
  MAPPED: 4,
  REMOVED: 5,
  BLOCKEDW: 8,
  EXP_BLOCKEDW: 9,
  EXP_DIRTY: 11,
  EXP_DIRTY_BLOCKEDW: 12,
  PENDING_BLOCKEDW: 16,
  PENDING_EXP_BLOCKEDW: 17,
  PENDING_EXP_DIRTY: 19,
  PENDING_EXP_DIRTY_BLOCKEDW: 20,
  NL_BLOCKED: 0x81,
  NL_MAPPED: 0x84,
} as const
export type SeptState = keyof typeof SEPT_STATE

export const SEPT_STATES = Object.keys(SEPT_STATE) as readonly SeptState[]

/** The state of a number. */
export function septState(n: number): SeptState {
  return SEPT_STATES.find((s) => SEPT_STATE[s] === n) as SeptState
}

/** Calls about one entry, in the module's spelling without prefix. */
export const SEPT_OPS = [
  'ADD',
  'SEPT.ADD',
  'AUG',
  'BLOCK',
  'UNBLOCK',
  'REMOVE',
  'SEPT.REMOVE',
  'RELOCATE',
  'DEMOTE',
  'PROMOTE',
  'EXTEND',
  'RD',
  'WR',
  'BLOCKW',
] as const
export type SeptOp = (typeof SEPT_OPS)[number]

const LEAVES_THAT_GO: readonly SeptState[] = ['MAPPED', 'BLOCKED', 'BLOCKEDW']
const PENDING_THAT_GO: readonly SeptState[] = ['PENDING', 'PENDING_BLOCKED', 'PENDING_BLOCKEDW']
const EXPORTED: readonly SeptState[] = [
  'EXP_BLOCKEDW',
  'EXP_DIRTY',
  'EXP_DIRTY_BLOCKEDW',
  'PENDING_EXP_BLOCKEDW',
  'PENDING_EXP_DIRTY',
  'PENDING_EXP_DIRTY_BLOCKEDW',
]

const ACCEPTED: Readonly<Record<SeptOp, readonly SeptState[]>> = {
  ADD: ['FREE'],
  'SEPT.ADD': ['FREE', 'NL_MAPPED'],
  AUG: ['FREE', 'REMOVED'],
  BLOCK: ['NL_MAPPED', 'MAPPED', 'BLOCKEDW', 'PENDING', 'PENDING_BLOCKEDW'],
  UNBLOCK: ['NL_BLOCKED', 'BLOCKED', 'PENDING_BLOCKED'],
  REMOVE: [...LEAVES_THAT_GO, ...PENDING_THAT_GO],
  'SEPT.REMOVE': ['NL_MAPPED', 'NL_BLOCKED'],
  RELOCATE: [...LEAVES_THAT_GO, ...PENDING_THAT_GO, ...EXPORTED],
  DEMOTE: ['MAPPED', 'BLOCKED', 'PENDING', 'PENDING_BLOCKED'],
  PROMOTE: ['NL_MAPPED', 'NL_BLOCKED'],
  EXTEND: ['MAPPED'],
  RD: ['MAPPED', 'BLOCKEDW', 'EXP_BLOCKEDW', 'EXP_DIRTY', 'EXP_DIRTY_BLOCKEDW'],
  WR: ['MAPPED', 'EXP_DIRTY'],
  BLOCKW: ['MAPPED', 'EXP_DIRTY', 'PENDING', 'PENDING_EXP_DIRTY'],
}

/** Blocked altogether, so that nobody can use the entry; blocked for writing does not count. */
const BLOCKED: readonly SeptState[] = ['NL_BLOCKED', 'BLOCKED', 'PENDING_BLOCKED']

export function isBlocked(state: SeptState): boolean {
  return BLOCKED.includes(state)
}

/** Status codes; the upper half of the module's 64 bits, as the signed word that it is here. */
export const TDX_SUCCESS = 0
export const TDX_PAGE_ALREADY_ACCEPTED = 0x0b0a
export const TDX_EPT_ENTRY_ALREADY_BLOCKED = 0x0b07
export const TDX_OPERAND_BUSY = 0x80000200 | 0
export const TDX_PREVIOUS_TLB_EPOCH_BUSY = 0x80000201 | 0
export const TDX_OPERAND_BUSY_HOST_PRIORITY = 0x80000204 | 0
export const TDX_OPERAND_INVALID = 0xc0000100 | 0
export const TDX_PAGE_METADATA_INCORRECT = 0xc0000300 | 0
export const TDX_LIFECYCLE_STATE_INCORRECT = 0xc0000607 | 0
export const TDX_OP_STATE_INCORRECT = 0xc0000608 | 0
export const TDX_EPT_WALK_FAILED = 0xc0000b00 | 0
export const TDX_GPA_RANGE_NOT_BLOCKED = 0xc0000b06 | 0
export const TDX_TLB_TRACKING_NOT_DONE = 0xc0000b08 | 0
export const TDX_PAGE_SIZE_MISMATCH = 0xc0000b0b | 0
export const TDX_EPT_ENTRY_STATE_INCORRECT = 0xc0000b0d | 0

/** What a call answers to an entry in a state, if nothing else is wrong. */
export function legality(op: SeptOp, state: SeptState): number {
  if (ACCEPTED[op].includes(state)) return TDX_SUCCESS
  if (op === 'BLOCK' && isBlocked(state)) return TDX_EPT_ENTRY_ALREADY_BLOCKED
  return TDX_EPT_ENTRY_STATE_INCORRECT
}

/**
 * The state that a call leads to which succeeds; undefined for one that is no change of this kind.
 * While a TD is imported, a page that is removed leaves a trace.
 */
export function nextState(op: SeptOp, state: SeptState, importing = false): SeptState | undefined {
  const pending = PENDING_THAT_GO.includes(state)
  switch (op) {
    case 'ADD':
      return 'MAPPED'
    case 'AUG':
      return 'PENDING'
    case 'SEPT.ADD':
      return 'NL_MAPPED'
    case 'REMOVE':
      return importing ? 'REMOVED' : 'FREE'
    case 'SEPT.REMOVE':
      return 'FREE'
    case 'BLOCK':
      if (state === 'NL_MAPPED') return 'NL_BLOCKED'
      return pending ? 'PENDING_BLOCKED' : 'BLOCKED'
    case 'UNBLOCK':
    case 'RELOCATE':
      if (EXPORTED.includes(state)) return undefined
      if (state === 'NL_BLOCKED') return 'NL_MAPPED'
      return pending ? 'PENDING' : 'MAPPED'
    default:
      return undefined
  }
}

/** A TD exit for an EPT violation: the host is to provide the page. */
export const EPT_VIOLATION = -1

/** What a guest's ACCEPT of 4 KiB finds, behind the locks. */
export function acceptance(state: SeptState): number {
  switch (state) {
    case 'PENDING':
    case 'PENDING_EXP_DIRTY':
      return TDX_SUCCESS
    case 'MAPPED':
    case 'BLOCKEDW':
    case 'EXP_BLOCKEDW':
    case 'EXP_DIRTY':
    case 'EXP_DIRTY_BLOCKEDW':
      return TDX_PAGE_ALREADY_ACCEPTED
    case 'NL_MAPPED':
    case 'NL_BLOCKED':
      return TDX_PAGE_SIZE_MISMATCH
    default:
      return EPT_VIOLATION
  }
}

/** The state of an entry that the guest has accepted. */
export function acceptedState(state: SeptState): SeptState {
  return state === 'PENDING_EXP_DIRTY' ? 'EXP_DIRTY' : 'MAPPED'
}

/** Op states of a TD, as far as calls tell them apart. */
export const OP_STATES = [
  'UNINITIALIZED',
  'INITIALIZED',
  'RUNNABLE',
  'LIVE_EXPORT',
  'PAUSED_EXPORT',
  'POST_EXPORT',
  'MEMORY_IMPORT',
  'STATE_IMPORT',
  'POST_IMPORT',
  'LIVE_IMPORT',
  'FAILED_IMPORT',
] as const
export type OpState = (typeof OP_STATES)[number]

const LIVE: readonly OpState[] = ['LIVE_EXPORT', 'LIVE_IMPORT']
const EXPORTS: readonly OpState[] = ['LIVE_EXPORT', 'PAUSED_EXPORT', 'POST_EXPORT']
const IMPORTS: readonly OpState[] = [
  'MEMORY_IMPORT',
  'STATE_IMPORT',
  'POST_IMPORT',
  'LIVE_IMPORT',
  'FAILED_IMPORT',
]
const SETUP: readonly OpState[] = ['INITIALIZED']
const ALIVE: readonly OpState[] = ['INITIALIZED', 'RUNNABLE']
const CHANGES: readonly OpState[] = [...ALIVE, ...EXPORTS, 'POST_IMPORT', 'LIVE_IMPORT']

/** Calls about a TD whose legality depends on its op state alone. */
export type TdOp = SeptOp | 'FINALIZE' | 'TRACK' | 'VP.ENTER'

const IN_OP_STATE: Readonly<Partial<Record<TdOp, readonly OpState[]>>> = {
  ADD: SETUP,
  EXTEND: SETUP,
  FINALIZE: SETUP,
  AUG: [...ALIVE, ...LIVE],
  BLOCK: CHANGES,
  UNBLOCK: CHANGES,
  RELOCATE: CHANGES,
  PROMOTE: CHANGES,
  DEMOTE: CHANGES,
  REMOVE: [...CHANGES, 'FAILED_IMPORT'],
  'SEPT.REMOVE': [...ALIVE, ...EXPORTS, ...IMPORTS],
  TRACK: [...ALIVE, ...EXPORTS, ...IMPORTS.filter((s) => s !== 'FAILED_IMPORT')],
  'VP.ENTER': ['RUNNABLE', ...LIVE],
}

/** Is the call legal in an op state? Of calls that the table does not have nothing is said. */
export function legalIn(op: TdOp, state: OpState): boolean | undefined {
  return IN_OP_STATE[op]?.includes(state)
}

/** Is the TD being imported? */
export function importsIn(state: OpState): boolean {
  return IMPORTS.includes(state)
}

/** Must what is removed have been tracked? Before a TD can run nobody has a translation. */
export function tracksIn(state: OpState): boolean {
  return state === 'RUNNABLE' || LIVE.includes(state)
}
