/**
 * The save areas that KVM itself allocates: one for each vCPU, which the host fills until the
 * launch is finished. Then firmware encrypts them, and they are the guest's. vCPUs that no scenario
 * makes have none here. kvm->lock is held.
 *
 * Left out: which registers there are.
 */
import { directMapStore } from '../../kernel/arch/x86/mm/direct_map.js'
import { EINVAL, ENOMEM } from '../../kernel/include/errno.js'
import type { Kvm, KvmVcpu } from '../../kernel/include/kvm.js'
import type { Gfn } from '../../kernel/include/types.js'
import { folioPut } from '../../kernel/mm/swap.js'
import { createVcpu } from '../../kernel/virt/kvm/vcpu_file.js'
import { type Blob, withBytes } from '../../machine/blob.js'
import { read, write } from '../../machine/effects.js'
import { fn, type Kernel, original } from '../../machine/fn.js'
import { currentTaskNumber, MAX_TASKS } from '../../machine/task.js'
import { PAGE_TYPE_VMSA, SNP_LAUNCH_UPDATE } from './firmware.js'
import { sevDoCmd, snpSafeAllocPage } from './psp.js'
import { rmpMakePrivate } from './sev.js'
import { isSnpGuest, sevEs, sevInfo, snpPageReclaim } from './vm.js'

/** INITIAL_VMSA_GPA, as a gfn: where no slot can be. */
const INITIAL_VMSA_GFN = 0xf_ffff_ffff as Gfn

const plainCreate = original(createVcpu)

/**
 * A vCPU of a guest with SNP comes with a page: -ENOMEM if there is none.
 *
 * Models: 6.17 arch/x86/kvm/svm/svm.c svm_vcpu_create. Compared: 7.0 source.
 */
export const snpCreateVcpu = fn(function* kvm_vm_ioctl_create_vcpu_locked(
  kvm: Kvm,
): Kernel<number> {
  if (!isSnpGuest(kvm)) return yield* plainCreate(kvm)
  const page = yield* snpSafeAllocPage()
  if (page === null) return -ENOMEM
  const fd = yield* plainCreate(kvm)
  if (fd < 0) yield* folioPut(page)
  else sevEs(kvm.vcpus.get(currentTaskNumber())!).vmsa = page
  return fd
})

/**
 * Put the vCPU's state into its save area, whoever has that by now: 0.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c sev_es_sync_vmsa. Compared: 7.0 source.
 */
export const sevEsSyncVmsa = fn(function* sev_es_sync_vmsa(vcpu: KvmVcpu): Kernel<number> {
  const page = sevEs(vcpu).vmsa!
  yield write(page, 'data')
  directMapStore(page)
  page.data = withBytes(page.data as Blob, 0, 1, 1)
  return 0
})

const syncAny = original(sevEsSyncVmsa)

/**
 * The same, but -EINVAL for one that is the guest's. Models: 7.1.8 arch/x86/kvm/svm/sev.c
 * sev_es_sync_vmsa.
 */
export const sevEsSyncVmsaUnlessProtected = fn(function* sev_es_sync_vmsa(
  vcpu: KvmVcpu,
): Kernel<number> {
  if (sevEs(vcpu).guestStateProtected) return -EINVAL
  return yield* syncAny(vcpu)
})

/** One save area becomes the guest's: 0 or an error, and then it is the host's again. */
export const snpLaunchVmsa = fn(function* snp_launch_vmsa(kvm: Kvm, vcpu: KvmVcpu): Kernel<number> {
  const es = sevEs(vcpu)
  const info = sevInfo(kvm)
  let ret = yield* sevEsSyncVmsa(vcpu)
  if (ret === 0) ret = yield* rmpMakePrivate(es.vmsa!, INITIAL_VMSA_GFN, info.asid, true)
  if (ret !== 0) return ret
  ret = yield* sevDoCmd(SNP_LAUNCH_UPDATE, info.context!, es.vmsa!, PAGE_TYPE_VMSA)
  if (ret !== 0) {
    yield* snpPageReclaim(kvm, es.vmsa!)
    return ret
  }
  es.guestStateProtected = true
  return 0
})

/**
 * All save areas, until one fails: 0 or its error. Those before it stay the guest's.
 *
 * Models: 6.17 arch/x86/kvm/svm/sev.c snp_launch_update_vmsa. Simplifies: 7.1.8 takes the mutexes
 * of the vCPUs, which nobody else takes here, and is -EBUSY while one is being made. Compared: 7.0
 * and 7.1 source.
 */
export const snpLaunchUpdateVmsa = fn(function* snp_launch_update_vmsa(kvm: Kvm): Kernel<number> {
  yield read(kvm, 'vcpus')
  let n = 0
  let ret = 0
  while (n < MAX_TASKS && ret === 0) {
    const vcpu = kvm.vcpus.get(n)
    n += 1
    if (vcpu !== null && sevEs(vcpu).vmsa !== null) ret = yield* snpLaunchVmsa(kvm, vcpu)
  }
  return ret
})
