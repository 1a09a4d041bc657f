/**
 * Linux 6.18, as a diff of the 6.2 that the other folders have. The folders here mirror the Linux
 * tree again and hold the functions that differ where it can be seen; this file says which
 * function of 6.2 becomes which.
 */
import { type Replacement, replace } from '../../machine/fn.js'
import { kvmMmuPageFault } from '../arch/x86/kvm/mmu.js'
import { handleRemovedSpte, kvmTdpMmuMap } from '../arch/x86/kvm/tdp_mmu.js'
import { dropCaches } from '../fs/drop_caches.js'
import { pseudoFsMount } from '../fs/libfs.js'
import { vfsFallocateMode } from '../fs/open.js'
import { migratepageSuitable } from '../mm/compaction.js'
import { followPage } from '../mm/gup.js'
import { madviseWalkVmas, vmaMayRemove } from '../mm/madvise.js'
import { memfdAllSeals, memfdImpliedSeals, memfdInitFile, memfdSanitizeFlags } from '../mm/memfd.js'
import { hwpoisonFilter } from '../mm/memory_failure.js'
import { doMigrateFrame } from '../mm/memory_hotplug.js'
import {
  fallbackMigrateFolio,
  migrateFolio,
  migratePagesLoop,
  moveToNewFolio,
} from '../mm/migrate.js'
import { mincorePte } from '../mm/mincore.js'
import { memfdCheckSealsMmap, mmapUnmapError } from '../mm/mmap.js'
import { checkNewPage } from '../mm/page_alloc.js'
import { referenceEndsLazyfree, unmapLeavesPoison } from '../mm/rmap.js'
import { bytesInPage } from '../mm/shmem_file.js'
import { sealCheckFutureWrite } from '../mm/shmem_mmap.js'
import { softOfflineLost } from '../mm/soft_offline.js'
import { lruAddDrainToUnmap, pagevecSize } from '../mm/swap.js'
import { readSwappedPage } from '../mm/swapin.js'
import { vmaCountsAsWriter } from '../mm/vma.js'
import { pageoutWrites, shrinkPoisoned } from '../mm/vmscan.js'
import {
  sysKvmCheckExtension,
  sysKvmCreateGuestMemfd,
  sysKvmPreFaultMemory,
} from '../virt/kvm/guest_memfd.js'
import { kvmMmuInvalidateEnd, kvmMmuInvalidateRangeAdd } from '../virt/kvm/invalidate.js'
import { kvmListenerGone } from '../virt/kvm/kvm_main.js'
import { sysKvmSetMemoryAttributes } from '../virt/kvm/memory_attributes.js'
import { __kvmSetMemoryRegion } from '../virt/kvm/memory_region.js'
import { kvmArchFlushShadowMemslot, kvmFreeMemslot } from '../virt/kvm/memslots.js'
import { kvmAssertInvalidationsBalance } from '../virt/kvm/mmu_notifier.js'
import { handleChangedSpte, kvmMmuPageFault618 } from './arch/x86/kvm/mmu.js'
import { kvmTdpMmuMapUnlessAllowed } from './arch/x86/kvm/tdp_mmu.js'
import { anonInodefsMount } from './fs/anon_inodes.js'
import { dropCachesDrained } from './fs/drop_caches.js'
import { fallocateMode } from './fs/open.js'
import { folioWalkStart } from './mm/folio_walk.js'
import { migratepageAccessible, moveToNewFolioAccessible } from './mm/inaccessible.js'
import { madviseDoBehavior } from './mm/madvise.js'
import {
  allocFile,
  allSeals,
  checkSealsMmap,
  countsAsWriter,
  impliedSeals,
  noSealCheck,
  sanitizeFlags,
} from './mm/memfd.js'
import { hwpoisonFilterLocked, softOfflineLostBusy } from './mm/memory_failure.js'
import { doMigrateFrameLocked } from './mm/memory_hotplug.js'
import {
  fallbackMigrateFolioClean,
  migrateFolioCopyFirst,
  migratePagesTwice,
} from './mm/migrate.js'
import { mincorePteSwap } from './mm/mincore.js'
import { mmapUnmapErrorItself } from './mm/mmap.js'
import { newPageUnchecked } from './mm/page_alloc.js'
import { referenceKeepsLazyfree, unmapLeavesPoisonAsked } from './mm/rmap.js'
import { bytesToEnd } from './mm/shmem.js'
import { noDrainToUnmap, pagevecSize31 } from './mm/swap.js'
import { readSwappedPagePinned } from './mm/swapin.js'
import { pageoutToSwap, shrinkPoisonedUnmaps } from './mm/vmscan.js'
import { kvmVmIoctlCheckExtension } from './virt/kvm/capabilities.js'
import { kvmVmIoctlCreateGuestMemfd } from './virt/kvm/guest_memfd.js'
import {
  kvmAssertedAtEnd,
  kvmMmuInvalidateEndChecked,
  kvmMmuInvalidateRangeAddHull,
} from './virt/kvm/invalidate.js'
import { kvmListenerGoneChecked } from './virt/kvm/kvm_main.js'
import { kvmVmIoctlSetMemAttributes } from './virt/kvm/memory_attributes.js'
import {
  kvmArchFlushSlotOnly,
  kvmFreeMemslotGmem,
  kvmSetMemoryRegion,
} from './virt/kvm/memslots.js'
import { kvmVcpuIoctlPreFault } from './virt/kvm/pre_fault.js'

const KVM: readonly Replacement[] = [
  replace(__kvmSetMemoryRegion, kvmSetMemoryRegion),
  replace(kvmFreeMemslot, kvmFreeMemslotGmem),
  replace(kvmListenerGone, kvmListenerGoneChecked),
  replace(kvmArchFlushShadowMemslot, kvmArchFlushSlotOnly),
  replace(sysKvmSetMemoryAttributes, kvmVmIoctlSetMemAttributes),
  replace(sysKvmCreateGuestMemfd, kvmVmIoctlCreateGuestMemfd),
  replace(sysKvmPreFaultMemory, kvmVcpuIoctlPreFault),
  replace(sysKvmCheckExtension, kvmVmIoctlCheckExtension),
  replace(kvmMmuPageFault, kvmMmuPageFault618),
  replace(kvmTdpMmuMap, kvmTdpMmuMapUnlessAllowed),
  replace(handleRemovedSpte, handleChangedSpte),
  replace(kvmMmuInvalidateRangeAdd, kvmMmuInvalidateRangeAddHull),
  replace(kvmMmuInvalidateEnd, kvmMmuInvalidateEndChecked),
  replace(kvmAssertInvalidationsBalance, kvmAssertedAtEnd),
]

const MEMFD: readonly Replacement[] = [
  replace(pseudoFsMount, anonInodefsMount),
  replace(vfsFallocateMode, fallocateMode),
  replace(memfdSanitizeFlags, sanitizeFlags),
  replace(memfdInitFile, allocFile),
  replace(memfdAllSeals, allSeals),
  replace(memfdImpliedSeals, impliedSeals),
  replace(memfdCheckSealsMmap, checkSealsMmap),
  replace(vmaCountsAsWriter, countsAsWriter),
  replace(sealCheckFutureWrite, noSealCheck),
]

const MM: readonly Replacement[] = [
  replace(vmaMayRemove, countsAsWriter),
  replace(madviseWalkVmas, madviseDoBehavior),
  replace(bytesInPage, bytesToEnd),
  replace(dropCaches, dropCachesDrained),
  replace(followPage, folioWalkStart),
  replace(mmapUnmapError, mmapUnmapErrorItself),
  replace(migrateFolio, migrateFolioCopyFirst),
  replace(fallbackMigrateFolio, fallbackMigrateFolioClean),
  replace(migratePagesLoop, migratePagesTwice),
  replace(migratepageSuitable, migratepageAccessible),
  replace(moveToNewFolio, moveToNewFolioAccessible),
  replace(checkNewPage, newPageUnchecked),
  replace(doMigrateFrame, doMigrateFrameLocked),
  replace(mincorePte, mincorePteSwap),
  replace(pageoutWrites, pageoutToSwap),
  replace(shrinkPoisoned, shrinkPoisonedUnmaps),
  replace(unmapLeavesPoison, unmapLeavesPoisonAsked),
  replace(referenceEndsLazyfree, referenceKeepsLazyfree),
  replace(softOfflineLost, softOfflineLostBusy),
  replace(hwpoisonFilter, hwpoisonFilterLocked),
  replace(pagevecSize, pagevecSize31),
  replace(lruAddDrainToUnmap, noDrainToUnmap),
  replace(readSwappedPage, readSwappedPagePinned),
]

export const LINUX_6_18: readonly Replacement[] = [...KVM, ...MEMFD, ...MM]
