/** The words of TDX's tables, as `explain` says them: states of an entry, and status codes. */
import type { HostWord } from '../host.js'
import * as sept from './sept.js'

const SOURCE = 'TDX module 1.5.01, intel/tdx-module'

const STATES: Readonly<Record<sept.SeptState, string>> = {
  FREE: 'The TD has no page there.',
  REMOVED: 'A page was removed while the TD is imported.',
  NL_MAPPED: 'A table of the next level.',
  NL_BLOCKED: 'A table of the next level, blocked: nobody walks through it any more.',
  MAPPED: 'A page that the TD has accepted, or that was there from the start.',
  BLOCKED: 'A page of the TD that nobody can translate to any more; what is in a TLB stays.',
  BLOCKEDW: 'The same for writing alone, on the way to be exported.',
  EXP_BLOCKEDW: 'Exported, and blocked for writing.',
  EXP_DIRTY: 'Exported, and written since.',
  EXP_DIRTY_BLOCKEDW: 'Exported, written since, and blocked for writing again.',
  PENDING: 'The host has added the page, and the TD has not accepted it.',
  PENDING_BLOCKED: 'Added, not accepted, and blocked.',
  PENDING_BLOCKEDW: 'Added, not accepted, and blocked for writing.',
  PENDING_EXP_BLOCKEDW: 'Exported before it was accepted, and blocked for writing.',
  PENDING_EXP_DIRTY: 'Exported before it was accepted, and unblocked since.',
  PENDING_EXP_DIRTY_BLOCKEDW: 'Exported before it was accepted, and blocked for writing again.',
}

type Code = readonly [name: string, value: number, text: string]

const CODES: readonly Code[] = [
  ['TDX_PAGE_ALREADY_ACCEPTED', sept.TDX_PAGE_ALREADY_ACCEPTED, 'The TD has accepted the page.'],
  [
    'TDX_EPT_ENTRY_ALREADY_BLOCKED',
    sept.TDX_EPT_ENTRY_ALREADY_BLOCKED,
    'Nothing to do: it is blocked. Counts as success.',
  ],
  ['TDX_OPERAND_BUSY', sept.TDX_OPERAND_BUSY, 'Somebody has a lock that the call needs.'],
  [
    'TDX_PREVIOUS_TLB_EPOCH_BUSY',
    sept.TDX_PREVIOUS_TLB_EPOCH_BUSY,
    'A vCPU is in the guest since the epoch before the last.',
  ],
  [
    'TDX_OPERAND_BUSY_HOST_PRIORITY',
    sept.TDX_OPERAND_BUSY_HOST_PRIORITY,
    'A host call has lost the entry, and goes before the guest now.',
  ],
  ['TDX_OPERAND_INVALID', sept.TDX_OPERAND_INVALID, 'What is asked for makes no sense.'],
  [
    'TDX_PAGE_METADATA_INCORRECT',
    sept.TDX_PAGE_METADATA_INCORRECT,
    "The frame is not, by the module's own table, what it has to be.",
  ],
  [
    'TDX_LIFECYCLE_STATE_INCORRECT',
    sept.TDX_LIFECYCLE_STATE_INCORRECT,
    'The TD has its key yet, or no more.',
  ],
  ['TDX_OP_STATE_INCORRECT', sept.TDX_OP_STATE_INCORRECT, "Not in this phase of the TD's life."],
  ['TDX_EPT_WALK_FAILED', sept.TDX_EPT_WALK_FAILED, 'There is no table for the address.'],
  [
    'TDX_GPA_RANGE_NOT_BLOCKED',
    sept.TDX_GPA_RANGE_NOT_BLOCKED,
    'What is to be removed must be blocked first.',
  ],
  [
    'TDX_TLB_TRACKING_NOT_DONE',
    sept.TDX_TLB_TRACKING_NOT_DONE,
    'A vCPU may have a translation from before the block.',
  ],
  [
    'TDX_PAGE_SIZE_MISMATCH',
    sept.TDX_PAGE_SIZE_MISMATCH,
    'There is a table where a page was meant.',
  ],
  [
    'TDX_EPT_ENTRY_STATE_INCORRECT',
    sept.TDX_EPT_ENTRY_STATE_INCORRECT,
    'The call does not go with the state of the entry.',
  ],
]

export const TDX_WORDS: readonly HostWord[] = [
  ...sept.SEPT_STATES.map((name) => ({ name, text: STATES[name], source: SOURCE })),
  ...CODES.map(([name, value, text]) => ({ name, value, text, source: SOURCE })),
]
