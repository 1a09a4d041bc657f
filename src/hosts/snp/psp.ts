/**
 * The driver of the security processor: firmware commands, one at a time under sev_cmd_mutex, and
 * pages for firmware to keep something in. A page that does not come back from firmware is leaked.
 *
 * Left out: a processor that no longer answers, after which every command is -EBUSY.
 */
import { EIO, ENOMEM } from '../../kernel/include/errno.js'
import { Folio } from '../../kernel/include/mm.js'
import type { Gfn } from '../../kernel/include/types.js'
import { allocFolio } from '../../kernel/mm/page_alloc.js'
import { folioPut } from '../../kernel/mm/swap.js'
import { choose, inject, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { type Mutex, mutexInit, mutexLock, mutexUnlock } from '../../machine/locks.js'
import { constructAt, embed, errPtr, type Obj, type Struct, struct } from '../../machine/struct.js'
import {
  activate,
  decommission,
  gctxCreate,
  launchFinish,
  launchStart,
  launchUpdate,
  pageMove,
  pageReclaim,
  SEV_OK,
  type SevCommand,
  SNP_ACTIVATE,
  SNP_DF_FLUSH,
  SNP_GCTX_CREATE,
  SNP_LAUNCH_FINISH,
  SNP_LAUNCH_START,
  SNP_LAUNCH_UPDATE,
  SNP_PAGE_MOVE,
  SNP_PAGE_RECLAIM,
} from './firmware.js'
import { snpLeakPages } from './leaked.js'
import { REFUSALS } from './refusals.js'
import { isHead, rmpEntry } from './rmp.js'
import { rmpMakePrivate, rmpMakeShared } from './sev.js'

/** Globals of drivers/crypto/ccp/sev-dev.c. */
export interface SevDevice extends Obj {
  cmdMutex: Mutex
}

export const SevDevice: Struct<SevDevice> = struct<SevDevice>(
  'SevDevice',
  { cmdMutex: embed('Mutex') },
  { capacity: 1 },
)

export function sevDevice(): SevDevice {
  return SevDevice.at(SevDevice.base) as SevDevice
}

export function sevDeviceInit(): void {
  constructAt(SevDevice as unknown as Struct<Obj>, SevDevice.base, 0)
  mutexInit(sevDevice().cmdMutex, 'sev_cmd_mutex')
}

/** What firmware answers. `other` is a command's second page, `arg` its ASID or the page's type. */
function command(cmd: SevCommand, page: Folio, other: Folio, arg: number): number {
  switch (cmd) {
    case SNP_GCTX_CREATE:
      return gctxCreate(page.pfn)
    case SNP_LAUNCH_START:
      return launchStart(page.pfn)
    case SNP_ACTIVATE:
      return activate(page.pfn, arg)
    case SNP_LAUNCH_UPDATE:
      return launchUpdate(page.pfn, other.pfn, false, arg)
    case SNP_LAUNCH_FINISH:
      return launchFinish(page.pfn)
    case SNP_PAGE_RECLAIM:
      return pageReclaim(page.pfn, false)
    default:
      return decommission(page.pfn)
  }
}

function refusals(cmd: SevCommand): number {
  return REFUSALS[cmd].length
}

function refusal(cmd: SevCommand, i: number): number {
  return REFUSALS[cmd][i]!
}

/** What firmware answers if a fault of the scenario's strikes here. SEV_OK: nothing strikes. */
export const firmwareRefuses = fn(function* firmware_refuses(cmd: SevCommand): Kernel<number> {
  if ((yield inject()) === 0) return SEV_OK
  return refusal(cmd, yield choose(refusals(cmd)))
})

/**
 * One command about a page, as a rule a guest's context: the status.
 *
 * Models: 6.17 drivers/crypto/ccp/sev-dev.c __sev_do_cmd_locked. Compared: 7.0 source.
 */
export const sevCmdStatus = fn(function* __sev_do_cmd(
  cmd: SevCommand,
  page: Folio,
  other: Folio,
  arg: number,
): Kernel<number> {
  yield* mutexLock(sevDevice().cmdMutex)
  let status = yield* firmwareRefuses(cmd)
  if (status === SEV_OK) {
    yield rmw(rmpEntry(page.pfn), 'assigned')
    status = command(cmd, page, other, arg)
  }
  mutexUnlock(sevDevice().cmdMutex)
  return status
})

/**
 * The same, for who only wants to know whether it worked: 0, or -EIO for every status that is no
 * success.
 *
 * Models: 6.17 drivers/crypto/ccp/sev-dev.c sev_do_cmd. Compared: 7.0 source.
 */
export const sevDoCmd = fn(function* sev_do_cmd(
  cmd: SevCommand,
  page: Folio,
  other: Folio,
  arg: number,
): Kernel<number> {
  return (yield* sevCmdStatus(cmd, page, other, arg)) === SEV_OK ? 0 : -EIO
})

/** SNP_PAGE_MOVE between two pages of the guest with this context. */
export const sevMovePage = fn(function* snp_page_move(
  context: Folio,
  src: Folio,
  dst: Folio,
): Kernel<number> {
  yield* mutexLock(sevDevice().cmdMutex)
  let status = yield* firmwareRefuses(SNP_PAGE_MOVE)
  if (status === SEV_OK) {
    yield rmw(rmpEntry(src.pfn), 'assigned')
    status = pageMove(context.pfn, src.pfn, dst.pfn)
  }
  mutexUnlock(sevDevice().cmdMutex)
  return status === SEV_OK ? 0 : -EIO
})

/** SNP_DF_FLUSH: 0 or -EIO. What it flushes is not in the model. */
export const sevDfFlush = fn(function* sev_do_cmd_df_flush(): Kernel<number> {
  yield* mutexLock(sevDevice().cmdMutex)
  const status = yield* firmwareRefuses(SNP_DF_FLUSH)
  mutexUnlock(sevDevice().cmdMutex)
  return status === SEV_OK ? 0 : -EIO
})

/**
 * Take a page of firmware's back: 0, or an error, and then it is leaked.
 *
 * Models: 6.17 drivers/crypto/ccp/sev-dev.c snp_reclaim_pages, one page. Compared: 7.0 source.
 */
export const snpReclaimPages = fn(function* snp_reclaim_pages(page: Folio): Kernel<number> {
  let ret = yield* sevDoCmd(SNP_PAGE_RECLAIM, page, page, 0)
  if (ret === 0) ret = yield* rmpMakeShared(page)
  if (ret !== 0) yield* snpLeakPages(page)
  return ret
})

/**
 * A page, or NULL, that does not begin a region: while that is somebody's, no other page of the
 * region could be given to a guest, and the processor could fault on it for nothing.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c snp_safe_alloc_page_node. Compared: 7.0 source.
 */
export const snpSafeAllocPage = fn(function* snp_safe_alloc_page(): Kernel<Folio | null> {
  const first = allocFolio(false)
  if (first === null || !isHead(first.pfn)) return first
  const page = allocFolio(false)
  yield* folioPut(first)
  return page
})

/**
 * A page that is firmware's. None that begins a region: see above. If it does not become
 * firmware's, nobody frees it, and it is not on the list of what is leaked either.
 *
 * Models: 6.17 drivers/crypto/ccp/sev-dev.c __snp_alloc_firmware_pages. Simplifies: Linux takes any
 * page; one in 512 begins a region, where here it is one in four. Compared: 7.0 source.
 */
export const snpAllocFirmwarePage = fn(function* snp_alloc_firmware_page(): Kernel<Folio> {
  const page = yield* snpSafeAllocPage()
  if (page === null) return errPtr(Folio, -ENOMEM)
  const error = yield* rmpMakePrivate(page, 0 as Gfn, 0, true)
  return error === 0 ? page : errPtr(Folio, error)
})

/** Models: 6.17 drivers/crypto/ccp/sev-dev.c __snp_free_firmware_pages. Compared: 7.0 source. */
export const snpFreeFirmwarePage = fn(function* snp_free_firmware_page(page: Folio): Kernel<void> {
  if ((yield* snpReclaimPages(page)) === 0) yield* folioPut(page)
})
