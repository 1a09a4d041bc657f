/**
 * AMD SEV-SNP. Hardware: `rmp.ts`, `instructions.ts`, `access.ts`; firmware: `firmware.ts`; Linux:
 * `sev.ts`, `leaked.ts`, `psp.ts`, `asid.ts`, `vm.ts`, `vmsa.ts`, `launch.ts`, `launch-vmsa.ts`,
 * `ghcb.ts`, `psc.ts`, and how it drives them, `gmem.ts` since 6.11, `gmem-7.0.ts` since 7.0,
 * `series-2023.ts` and `launch-2023.ts` before; the guest: `guest.ts`, `guest-psc.ts`.
 *
 * The part since 6.11 was read beside 6.17 and 7.0, function by function; that of 2023 is what is
 * told of the tree. Two later versions of KVM: 7.0, whose launch gets its pages one by one; and 7.3,
 * which has a guest's scratch area inside of its GHCB, as 7.1.8 and 6.12.117 do, and has vCPUs look
 * their save areas up again (`vmsa-reload.ts`).
 */
import { upm } from '../../designs/upm.js'
import { upmUnbindNotify } from '../../designs/upm-mm.js'
import { vcpuRun } from '../../kernel/arch/x86/kvm/guest.js'
import {
  kvmIsVmTypeSupported,
  kvmMmuFaultIsPrivate,
  kvmPreFaultAllowed,
  kvmX86GmemInvalidate,
  kvmX86GmemPrepare,
  kvmX86UpdateMemAttr,
  kvmX86VmDestroy,
  kvmX86VmInit,
  vmTypeHasPrivateMem,
} from '../../kernel/arch/x86/kvm/x86_ops.js'
import { hostMayStore } from '../../kernel/arch/x86/mm/direct_map.js'
import { kvmUnmapGfnRange } from '../../kernel/v6_18/virt/kvm/guest_memfd.js'
import { kvmGmemGetPfn } from '../../kernel/v6_18/virt/kvm/guest_memfd_slot.js'
import { gmemPostPopulate, kvmGmemPopulate } from '../../kernel/v6_18/virt/kvm/populate.js'
import { kvmArchFlushShadowMemslot } from '../../kernel/virt/kvm/memslots.js'
import { kvmRestrictedmemInvalidateBegin } from '../../kernel/virt/kvm/restrictedmem.js'
import { createVcpu } from '../../kernel/virt/kvm/vcpu_file.js'
import { type Replacement, replace } from '../../machine/fn.js'
import {
  confidentialVm,
  guestAccept,
  guestApCreate,
  guestApDestroy,
  guestConvert,
  guestConvertPages,
  guestPsc,
  launch,
  launchUpdate,
} from '../../user/confidential.js'
import { isGivenUp } from '../../user/given-up.js'
import type { Host, HostId } from '../host.js'
import {
  setupVmgexitScratch,
  setupVmgexitScratchInGhcb,
  sevFreeVcpu,
  sevFreeVcpuUnmaps,
} from './ghcb.js'
import { sevGmemInvalidate, sevGmemPrepare, sevHandleRmpFault } from './gmem.js'
import {
  kvmGmemGetPfnPrepares,
  kvmGmemPopulatePageByPage,
  mayWritebackSrc,
  snpLaunchUpdateAligned,
  writesBackCpuid,
} from './gmem-7.0.js'
import { gmemMove } from './gmem-move.js'
import { reloadVmsa, snpFaultIsPrivate, snpGuestAccept, snpVcpuRun } from './guest.js'
import { snpGuestConvert, snpGuestConvertPages, snpGuestPsc } from './guest-psc.js'
import {
  sevGmemPostPopulate,
  snpConfidentialVm,
  snpLaunch,
  snpLaunchUpdate,
  snpLaunchUpdateOp,
} from './launch.js'
import { snpLaunchUpdate2023 } from './launch-2023.js'
import { sevEsSyncVmsa, sevEsSyncVmsaUnlessProtected, snpCreateVcpu } from './launch-vmsa.js'
import { isOnLeakedList } from './leaked.js'
import {
  snpBeginPsc,
  snpBeginPscOnce,
  snpContinuePsc,
  snpContinuePscOnce,
  snpPsc,
  snpPsc2023,
} from './psc.js'
import { ownerOf } from './rmp.js'
import {
  handleRmpPageFault,
  rmpupdateRepeated,
  sevInvalidateBegin,
  sevUpdateMemAttr,
  unbindNotify,
} from './series-2023.js'
import { sevRmpupdate, snpHostMayStore } from './sev.js'
import {
  sevVmDestroy,
  sevVmInit,
  snpInit,
  snpPreFaultAllowed,
  snpVmTypeHasPrivateMem,
  snpVmTypeSupported,
} from './vm.js'
import {
  nextSaveArea,
  snpGuestApCreate,
  snpGuestApDestroy,
  vmsaPage,
  vmsaPage2023,
} from './vmsa.js'
import {
  flushSlotAndReload,
  nextSaveAreaRemembered,
  sevSnpReload,
  unmapAndReload,
} from './vmsa-reload.js'
import { SNP_WORDS } from './words.js'

/** What all versions have: the processor, the VM's life, the guest. */
const COMMON: readonly Replacement[] = [
  replace(hostMayStore, snpHostMayStore),
  replace(vcpuRun, snpVcpuRun),
  replace(kvmMmuFaultIsPrivate, snpFaultIsPrivate),
  replace(kvmIsVmTypeSupported, snpVmTypeSupported),
  replace(vmTypeHasPrivateMem, snpVmTypeHasPrivateMem),
  replace(kvmX86VmInit, sevVmInit),
  replace(kvmX86VmDestroy, sevVmDestroy),
  replace(createVcpu, snpCreateVcpu),
  replace(confidentialVm, snpConfidentialVm),
  replace(launch, snpLaunch),
  replace(launchUpdate, snpLaunchUpdateOp),
  replace(guestAccept, snpGuestAccept),
  replace(guestApCreate, snpGuestApCreate),
  replace(guestApDestroy, snpGuestApDestroy),
  replace(guestConvert, snpGuestConvert),
  replace(guestConvertPages, snpGuestConvertPages),
  replace(guestPsc, snpGuestPsc),
  replace(isGivenUp, isOnLeakedList),
]

const SINCE_6_11: readonly Replacement[] = [
  ...COMMON,
  replace(kvmX86GmemPrepare, sevGmemPrepare),
  replace(kvmX86GmemInvalidate, sevGmemInvalidate),
  replace(kvmPreFaultAllowed, snpPreFaultAllowed),
  replace(gmemPostPopulate, sevGmemPostPopulate),
]

const SINCE_7_0: readonly Replacement[] = [
  ...SINCE_6_11,
  replace(kvmGmemGetPfn, kvmGmemGetPfnPrepares),
  replace(kvmGmemPopulate, kvmGmemPopulatePageByPage),
  replace(snpLaunchUpdate, snpLaunchUpdateAligned),
]

const SINCE_7_3: readonly Replacement[] = [
  ...SINCE_7_0,
  replace(mayWritebackSrc, writesBackCpuid),
  replace(setupVmgexitScratch, setupVmgexitScratchInGhcb),
  replace(sevFreeVcpu, sevFreeVcpuUnmaps),
  replace(sevEsSyncVmsa, sevEsSyncVmsaUnlessProtected),
  replace(snpBeginPsc, snpBeginPscOnce),
  replace(snpContinuePsc, snpContinuePscOnce),
  replace(nextSaveArea, nextSaveAreaRemembered),
  replace(reloadVmsa, sevSnpReload),
  replace(kvmUnmapGfnRange, unmapAndReload),
  replace(kvmArchFlushShadowMemslot, flushSlotAndReload),
]

/** The machine under one version of KVM. */
function machine(id: HostId, summary: string, versions: Host['versions']): Host {
  return {
    id,
    summary,
    words: SNP_WORDS,
    init: snpInit,
    locks: ['sev_bitmap_lock', 'sev_cmd_mutex', 'snp_leaked_pages_list_lock', 'snp_vmsa_mutex'],
    ownerOf,
    versions,
  }
}

export const snp: Host = {
  ...machine(
    'snp',
    'AMD SEV-SNP: a table says who owns each frame, and memory is encrypted by address.',
    {
      '6.2': {
        over: upm,
        cite: ['20230220183847.59159-1-michael.roth@amd.com'],
        replaces: [
          ...COMMON,
          replace(sevRmpupdate, rmpupdateRepeated),
          replace(snpLaunchUpdate, snpLaunchUpdate2023),
          replace(kvmX86UpdateMemAttr, sevUpdateMemAttr),
          replace(kvmRestrictedmemInvalidateBegin, sevInvalidateBegin),
          replace(upmUnbindNotify, unbindNotify),
          replace(sevHandleRmpFault, handleRmpPageFault),
          replace(vmsaPage, vmsaPage2023),
          replace(snpPsc, snpPsc2023),
        ],
      },
      '6.18': {
        cite: ['linux 6.17 arch/x86/kvm/svm/sev.c and arch/x86/virt/svm/sev.c'],
        replaces: SINCE_6_11,
      },
    },
  ),
  own: [gmemMove],
}

export const snp70: Host = machine(
  'snp-7.0',
  'The same with KVM of 7.0: a launch gets, and locks, one page after the other.',
  {
    '6.18': {
      cite: ['linux 7.0 arch/x86/kvm/svm/sev.c and virt/kvm/guest_memfd.c'],
      replaces: SINCE_7_0,
    },
  },
)

export const snp73: Host = machine(
  'snp-7.3',
  'The same with KVM of 7.3: it trusts no buffer of a guest, and its save areas are looked up again.',
  {
    '6.18': {
      cite: [
        'linux 7.1.8 arch/x86/kvm/svm/sev.c and virt/kvm/guest_memfd.c',
        'kvm-x86/linux 1a27afa0511e arch/x86/kvm/svm/sev.c',
        'kvm-x86/linux 5e38e1bd4e7b virt/kvm/guest_memfd.c',
      ],
      replaces: SINCE_7_3,
    },
  },
)
