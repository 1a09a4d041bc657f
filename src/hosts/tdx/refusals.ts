/**
 * What the module may answer instead of doing its work: where a fault of the scenario's strikes, each
 * of these is tried. Tables: 4.1, the first errors of a call. TDH.VP.ENTER is none of them, since
 * KVM_RUN only repeats what it answers, nor TDH.PHYMEM.PAGE.RECLAIM, which Linux issues for what a TD
 * has beside its memory.
 */
import {
  TDX_EPT_ENTRY_ALREADY_BLOCKED,
  TDX_EPT_ENTRY_STATE_INCORRECT,
  TDX_EPT_WALK_FAILED,
  TDX_GPA_RANGE_NOT_BLOCKED,
  TDX_OP_STATE_INCORRECT,
  TDX_OPERAND_BUSY,
  TDX_OPERAND_INVALID,
  TDX_PAGE_METADATA_INCORRECT,
  TDX_PREVIOUS_TLB_EPOCH_BUSY,
  TDX_TLB_TRACKING_NOT_DONE,
} from './sept.js'

/** Calls of KVM's, in the spelling of its messages. */
export const SEAMCALLS = [
  'MEM_PAGE_AUG',
  'MEM_PAGE_ADD',
  'MEM_RANGE_BLOCK',
  'MEM_TRACK',
  'MEM_PAGE_REMOVE',
  'PHYMEM_PAGE_WBINVD',
  'MR_FINALIZE',
  'VP_INIT',
] as const
export type Seamcall = (typeof SEAMCALLS)[number]

/** Their numbers in `SEAMCALLS`, for kernel code. */
export const AUG = 0
export const ADD = 1
export const BLOCK = 2
export const TRACK = 3
export const REMOVE = 4
export const WBINVD = 5
export const FINALIZE = 6
export const VP_INIT = 7

const ANY = [TDX_OPERAND_BUSY, TDX_OP_STATE_INCORRECT] as const
const OF_AN_ENTRY = [
  ...ANY,
  TDX_OPERAND_INVALID,
  TDX_EPT_WALK_FAILED,
  TDX_EPT_ENTRY_STATE_INCORRECT,
] as const

/** By call. */
export const REFUSALS: Readonly<Record<Seamcall, readonly number[]>> = {
  MEM_PAGE_AUG: [...OF_AN_ENTRY, TDX_PAGE_METADATA_INCORRECT],
  MEM_PAGE_ADD: [...OF_AN_ENTRY, TDX_PAGE_METADATA_INCORRECT],
  MEM_RANGE_BLOCK: [...OF_AN_ENTRY, TDX_EPT_ENTRY_ALREADY_BLOCKED],
  MEM_TRACK: [...ANY, TDX_PREVIOUS_TLB_EPOCH_BUSY],
  MEM_PAGE_REMOVE: [...OF_AN_ENTRY, TDX_GPA_RANGE_NOT_BLOCKED, TDX_TLB_TRACKING_NOT_DONE],
  PHYMEM_PAGE_WBINVD: [TDX_OPERAND_BUSY, TDX_OPERAND_INVALID],
  MR_FINALIZE: ANY,
  VP_INIT: ANY,
}

/** How many codes a call may refuse with. */
export function refusals(call: number): number {
  return REFUSALS[SEAMCALLS[call]!].length
}

/** One of them. */
export function refusal(call: number, i: number): number {
  return REFUSALS[SEAMCALLS[call]!][i]!
}
