/**
 * pKVM. At EL2 the hypervisor's `ownership.ts`, with its calls in `host-calls.ts` and
 * `guest-calls.ts`, and `access.ts` for the host that touches what it does not own; the host's half
 * of KVM in `vm.ts`; the guest and its faults in `guest.ts`. There are two hypervisors: up to 7.0,
 * which knows no way back from an access that is not allowed, and from 7.1 on.
 *
 * All of it was read beside 7.0 and 7.1.8, but for what only Android has. Protected guests came in
 * 7.1: those of the older hypervisor are 7.1's, with what becomes of the host's accesses in 7.0.
 */
import { vcpuRun } from '../../kernel/arch/x86/kvm/guest.js'
import { kvmMmuZapAll, kvmTdpMmuZap } from '../../kernel/arch/x86/kvm/tdp_mmu.js'
import {
  kvmIsVmTypeSupported,
  kvmX86VmDestroy,
  kvmX86VmInit,
  vmTypeHasPrivateMem,
} from '../../kernel/arch/x86/kvm/x86_ops.js'
import { hostMayLoad, hostMayStore, hostUserFault } from '../../kernel/arch/x86/mm/direct_map.js'
import {
  kvmArchCommitMemoryRegion,
  kvmArchFlushShadowMemslot,
  kvmArchPrepareMemoryRegion,
} from '../../kernel/virt/kvm/memslots.js'
import { type Replacement, replace } from '../../machine/fn.js'
import { confidentialVm, guestConvert } from '../../user/confidential.js'
import { isTaken } from '../../user/given-up.js'
import type { Host, HostId } from '../host.js'
import {
  hostMemAbort,
  hostMemAbortInjected,
  hostUserAbort,
  hostUserAbortInjected,
} from './access.js'
import { filePage, gmemPage, pkvmGuestConvert, pkvmVcpuRun } from './guest.js'
import { guestCheckMemcache, memcacheUnchecked } from './guest-calls.js'
import { isPoisoned, ownerOf } from './ownership.js'
import {
  pkvmCommitMemoryRegion,
  pkvmConfidentialVm,
  pkvmDestroyHypVm,
  pkvmFlushShadowAll,
  pkvmFlushShadowMemslot,
  pkvmHasPrivateMem,
  pkvmInit,
  pkvmInitHostVm,
  pkvmPrepareMemoryRegion,
  pkvmUnmapForced,
  pkvmUnmapRefused,
  pkvmVmTypeSupported,
} from './vm.js'
import { PKVM_WORDS } from './words.js'

const COMMON: readonly Replacement[] = [
  replace(vcpuRun, pkvmVcpuRun),
  replace(kvmMmuZapAll, pkvmFlushShadowAll),
  replace(kvmArchPrepareMemoryRegion, pkvmPrepareMemoryRegion),
  replace(kvmArchCommitMemoryRegion, pkvmCommitMemoryRegion),
  replace(kvmArchFlushShadowMemslot, pkvmFlushShadowMemslot),
  replace(kvmIsVmTypeSupported, pkvmVmTypeSupported),
  replace(vmTypeHasPrivateMem, pkvmHasPrivateMem),
  replace(kvmX86VmInit, pkvmInitHostVm),
  replace(kvmX86VmDestroy, pkvmDestroyHypVm),
  replace(confidentialVm, pkvmConfidentialVm),
  replace(guestConvert, pkvmGuestConvert),
  replace(isTaken, isPoisoned),
]

const UP_TO_7_0: readonly Replacement[] = [
  ...COMMON,
  replace(hostMayStore, hostMemAbort),
  replace(hostMayLoad, hostMemAbort),
  replace(hostUserFault, hostUserAbort),
  replace(guestCheckMemcache, memcacheUnchecked),
  replace(kvmTdpMmuZap, pkvmUnmapRefused),
]

const FROM_7_1: readonly Replacement[] = [
  ...COMMON,
  replace(hostMayStore, hostMemAbortInjected),
  replace(hostMayLoad, hostMemAbortInjected),
  replace(hostUserFault, hostUserAbortInjected),
  replace(kvmTdpMmuZap, pkvmUnmapForced),
]

function pkvm(
  id: HostId,
  summary: string,
  replaces: readonly Replacement[],
  cite: readonly string[],
): Host {
  const versions: Host['versions'] = {
    '6.2': { cite, replaces },
    '6.18': { cite, replaces: [...replaces, replace(filePage, gmemPage)] },
  }
  return { id, summary, words: PKVM_WORDS, init: pkvmInit, ownerOf, versions }
}

export const pkvm70 = pkvm(
  'pkvm-7.0',
  'pKVM up to 7.0: the host gives pages to a guest, and stops the machine if it touches one.',
  UP_TO_7_0,
  ['linux 7.0 arch/arm64/kvm/hyp/nvhe/mem_protect.c'],
)

export const pkvm71 = pkvm(
  'pkvm-7.1',
  'pKVM from 7.1 on: what the host touches it gets, zeroed, and the guest finds poison there.',
  FROM_7_1,
  [
    'W. Deacon, protected guests, January to March 2026',
    'linux 7.1 arch/arm64/kvm/hyp/nvhe/mem_protect.c',
  ],
)
