/**
 * What RMPUPDATE and firmware may answer instead of doing their work: where a fault of the scenario's
 * strikes, each of these is tried. Tables: 3.3; of each command its own codes, and of all the two
 * that any may answer.
 *
 * Nothing strikes PVALIDATE and RMPADJUST, since what they answer to 4 KiB at VMPL 0 follows from the
 * entry alone, nor what Linux does not issue.
 */
import * as fw from './firmware.js'
import { FAIL_INPUT, FAIL_INUSE, FAIL_OVERLAP, FAIL_PERMISSION } from './instructions.js'

export const RMPUPDATE_REFUSALS = [FAIL_INPUT, FAIL_PERMISSION, FAIL_INUSE, FAIL_OVERLAP] as const

const ANY = [fw.INVALID_PLATFORM_STATE, fw.INVALID_PARAM] as const
const OF_A_GUEST = [...ANY, fw.INVALID_GUEST, fw.INVALID_GUEST_STATE] as const

/** By command. */
export const REFUSALS: Readonly<Record<fw.SevCommand, readonly number[]>> = {
  [fw.SNP_DECOMMISSION]: [...ANY, fw.INVALID_GUEST],
  [fw.SNP_ACTIVATE]: [
    ...OF_A_GUEST,
    fw.INVALID_CONFIG,
    fw.INVALID_ASID,
    fw.ASID_OWNED,
    fw.ALREADY_ACTIVE,
  ],
  [fw.SNP_GCTX_CREATE]: [...ANY, fw.INVALID_PAGE_STATE, fw.INVALID_PAGE_SIZE],
  [fw.SNP_LAUNCH_START]: OF_A_GUEST,
  [fw.SNP_LAUNCH_UPDATE]: [
    ...OF_A_GUEST,
    fw.INVALID_PAGE_STATE,
    fw.INVALID_PAGE_SIZE,
    fw.INACTIVE,
    fw.INVALID_PAGE_OWNER,
  ],
  [fw.SNP_LAUNCH_FINISH]: OF_A_GUEST,
  [fw.SNP_PAGE_MOVE]: [
    ...OF_A_GUEST,
    fw.INACTIVE,
    fw.INVALID_PAGE_SIZE,
    fw.INVALID_PAGE_STATE,
    fw.INVALID_PAGE_OWNER,
  ],
  [fw.SNP_PAGE_RECLAIM]: [...ANY, fw.INVALID_PAGE_STATE, fw.INVALID_PAGE_SIZE],
  [fw.SNP_DF_FLUSH]: ANY,
}
