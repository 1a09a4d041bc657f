/**
 * AMD SEV-SNP. Hardware: `rmp.ts`, `instructions.ts`, `access.ts`; firmware: `firmware.ts`; Linux:
 * `sev.ts`, `leaked.ts`, `psp.ts`, `asid.ts`, `vm.ts`, `vmsa.ts`, `launch.ts`, and how it drives
 * them, `gmem.ts` since 6.11, `series-2023.ts` and `launch-2023.ts` before; the guest: `guest.ts`.
 *
 * The part since 6.11 was read beside 6.17 and 7.0, function by function; that of 2023 is what is
 * told of the tree.
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
import { gmemPostPopulate } from '../../kernel/v6_18/virt/kvm/populate.js'
import { kvmRestrictedmemInvalidateBegin } from '../../kernel/virt/kvm/restrictedmem.js'
import { type Replacement, replace } from '../../machine/fn.js'
import {
  confidentialVm,
  guestAccept,
  guestApCreate,
  guestConvert,
  launch,
  launchUpdate,
} from '../../user/confidential.js'
import { isGivenUp } from '../../user/given-up.js'
import type { Host } from '../host.js'
import { sevGmemInvalidate, sevGmemPrepare, sevHandleRmpFault } from './gmem.js'
import { gmemMove } from './gmem-move.js'
import { snpFaultIsPrivate, snpGuestAccept, snpGuestConvert, snpVcpuRun } from './guest.js'
import {
  sevGmemPostPopulate,
  snpConfidentialVm,
  snpLaunch,
  snpLaunchUpdate,
  snpLaunchUpdateOp,
} from './launch.js'
import { snpLaunchUpdate2023 } from './launch-2023.js'
import { isOnLeakedList } from './leaked.js'
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
import { snpGuestApCreate, vmsaPage, vmsaPage2023 } from './vmsa.js'
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
  replace(confidentialVm, snpConfidentialVm),
  replace(launch, snpLaunch),
  replace(launchUpdate, snpLaunchUpdateOp),
  replace(guestAccept, snpGuestAccept),
  replace(guestApCreate, snpGuestApCreate),
  replace(guestConvert, snpGuestConvert),
  replace(isGivenUp, isOnLeakedList),
]

export const snp: Host = {
  id: 'snp',
  summary: 'AMD SEV-SNP: a table says who owns each frame, and memory is encrypted by address.',
  words: SNP_WORDS,
  own: [gmemMove],
  init: snpInit,
  locks: ['sev_bitmap_lock', 'sev_cmd_mutex', 'snp_leaked_pages_list_lock', 'snp_vmsa_mutex'],
  ownerOf,
  versions: {
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
      ],
    },
    '6.18': {
      cite: ['linux 6.17 arch/x86/kvm/svm/sev.c and arch/x86/virt/svm/sev.c'],
      replaces: [
        ...COMMON,
        replace(kvmX86GmemPrepare, sevGmemPrepare),
        replace(kvmX86GmemInvalidate, sevGmemInvalidate),
        replace(kvmPreFaultAllowed, snpPreFaultAllowed),
        replace(gmemPostPopulate, sevGmemPostPopulate),
      ],
    },
  },
}
