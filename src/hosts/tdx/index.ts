/**
 * Intel TDX. The module: `sept.ts` with its matrices, `module.ts` with its calls; `access.ts` for the
 * host that touches a TD's memory; KVM: `kvm.ts`, `zap.ts`, `vm.ts`, `launch.ts`; the guest:
 * `guest.ts`. Two hosts: KVM with a reference for each leaf, up to 6.18, and without. On restricted
 * memory the series of 2023 had the reference too, because nothing kept the pages from moving.
 *
 * KVM's half was read beside 6.17 and 7.0; of the series of 2023 only the reference is taken. The
 * accesses that step over one instruction again and again (zero-step) and their lock on the tree are
 * left out.
 */
import { vcpuRun } from '../../kernel/arch/x86/kvm/guest.js'
import { kvmMmuZapAll, kvmTdpMmuMap, kvmTdpMmuZap } from '../../kernel/arch/x86/kvm/tdp_mmu.js'
import {
  kvmIsVmTypeSupported,
  kvmMmuFaultIsPrivate,
  kvmPreFaultAllowed,
  kvmX86VmDestroy,
  kvmX86VmInit,
  vmTypeHasPrivateMem,
} from '../../kernel/arch/x86/kvm/x86_ops.js'
import { hostMayStore } from '../../kernel/arch/x86/mm/direct_map.js'
import { kvmArchFlushSlotOnly } from '../../kernel/v6_18/virt/kvm/memslots.js'
import { gmemPostPopulate } from '../../kernel/v6_18/virt/kvm/populate.js'
import { kvmArchFlushShadowMemslot } from '../../kernel/virt/kvm/memslots.js'
import { createVcpu, sysKvmCreateVcpu } from '../../kernel/virt/kvm/vcpu_file.js'
import { type Replacement, replace } from '../../machine/fn.js'
import {
  confidentialVm,
  guestAccept,
  guestConvert,
  launch,
  launchUpdate,
} from '../../user/confidential.js'
import { isFrozen } from '../../user/given-up.js'
import type { Host, HostId } from '../host.js'
import { tdxHostMayStore } from './access.js'
import {
  tdxCreateVcpu,
  tdxFaultIsPrivate,
  tdxGuestAccept,
  tdxGuestConvert,
  tdxKvmCreateVcpu,
  tdxMap,
  tdxMap618,
  tdxVcpuInit,
  tdxVcpuInitLocked,
  tdxVcpuRun,
} from './guest.js'
import { beforeFinal, isLeafFrozen, noClear, noPin, tdxClearPage, tdxPin, tdxUnpin } from './kvm.js'
import {
  tdxGmemPostPopulate,
  tdxGmemPostPopulateAdds,
  tdxLaunch,
  tdxLaunchUpdate,
  tdxLockAllState,
  tdxLockState,
  tdxMemPageAdd,
  tdxUnlockAllState,
  tdxUnlockState,
} from './launch.js'
import { ownerOf } from './module.js'
import {
  tdVcpuInit,
  tdVcpuInitLocked,
  tdxConfidentialVm,
  tdxHasPrivateMem,
  tdxInit,
  tdxPreFaultAllowed,
  tdxVmDestroy,
  tdxVmInit,
  tdxVmTypeSupported,
} from './vm.js'
import { TDX_WORDS } from './words.js'
import { tdxZap, tdxZapAll } from './zap.js'

const COMMON: readonly Replacement[] = [
  replace(hostMayStore, tdxHostMayStore),
  replace(vcpuRun, tdxVcpuRun),
  replace(kvmMmuFaultIsPrivate, tdxFaultIsPrivate),
  replace(kvmIsVmTypeSupported, tdxVmTypeSupported),
  replace(vmTypeHasPrivateMem, tdxHasPrivateMem),
  replace(kvmX86VmInit, tdxVmInit),
  replace(kvmX86VmDestroy, tdxVmDestroy),
  replace(kvmTdpMmuZap, tdxZap),
  replace(kvmMmuZapAll, tdxZapAll),
  replace(kvmArchFlushShadowMemslot, kvmArchFlushSlotOnly),
  replace(createVcpu, tdxCreateVcpu),
  replace(sysKvmCreateVcpu, tdxKvmCreateVcpu),
  replace(confidentialVm, tdxConfidentialVm),
  replace(launch, tdxLaunch),
  replace(kvmPreFaultAllowed, tdxPreFaultAllowed),
  replace(guestAccept, tdxGuestAccept),
  replace(guestConvert, tdxGuestConvert),
  replace(isFrozen, isLeafFrozen),
]

const FROM_6_19: readonly Replacement[] = [
  replace(tdxPin, noPin),
  replace(tdxUnpin, noPin),
  replace(tdxClearPage, noClear),
  replace(tdVcpuInit, tdVcpuInitLocked),
  replace(tdxVcpuInit, tdxVcpuInitLocked),
  replace(beforeFinal, tdxMemPageAdd),
  replace(tdxLockState, tdxLockAllState),
  replace(tdxUnlockState, tdxUnlockAllState),
]

/** How what a TD begins with is added, from 6.16 and from 6.19 on. Series of 2023 don't have it here. */
const POPULATES: readonly Replacement[] = [replace(gmemPostPopulate, tdxGmemPostPopulate)]
const POPULATES_6_19: readonly Replacement[] = [replace(gmemPostPopulate, tdxGmemPostPopulateAdds)]

function tdx(
  id: HostId,
  summary: string,
  more: readonly Replacement[],
  populates: readonly Replacement[],
  cite: readonly string[],
): Host {
  const versions: Host['versions'] = {
    '6.2': { cite, replaces: [...COMMON, ...more, replace(kvmTdpMmuMap, tdxMap)] },
    '6.18': {
      cite,
      replaces: [
        ...COMMON,
        ...more,
        ...populates,
        replace(launchUpdate, tdxLaunchUpdate),
        replace(kvmTdpMmuMap, tdxMap618),
      ],
    },
  }
  return { id, summary, words: TDX_WORDS, init: tdxInit, ownerOf, versions }
}

export const tdx618 = tdx(
  'tdx-6.18',
  "Intel TDX with KVM up to 6.18: the module has a guest's pages, and KVM a reference to each.",
  [],
  POPULATES,
  ['linux 6.17 arch/x86/kvm/vmx/tdx.c'],
)

export const tdx619 = tdx(
  'tdx-6.19',
  "Intel TDX with KVM from 6.19 on: the module has a guest's pages, and KVM no reference.",
  FROM_6_19,
  POPULATES_6_19,
  ['ce7b5695397b', '9a89894f30d5', 'sean-jc/linux 07f26358 arch/x86/kvm/vmx/tdx.c'],
)
