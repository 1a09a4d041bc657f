/**
 * What a guest does: it reads and writes memory. The hardware translates through the TLB or walks
 * the secondary MMU, in one step with the access; if there is no translation, KVM gets a fault.
 * Each task that runs in a guest has a vCPU of its own.
 */
import { kzalloc } from '../../../../machine/alloc.js'
import { type Blob, byteAt, withBytes } from '../../../../machine/blob.js'
import { alsoReads, alsoWrites, read, rmw, write } from '../../../../machine/effects.js'
import { LimitError, mark, tracepoint } from '../../../../machine/fault.js'
import { fn, type Kernel } from '../../../../machine/fn.js'
import { isErr, ptrErr } from '../../../../machine/struct.js'
import { currentTaskNumber } from '../../../../machine/task.js'
import { fput } from '../../../fs/file_table.js'
import { EHWPOISON, EIO } from '../../../include/errno.js'
import {
  KVM_EXIT_SHUTDOWN,
  KVM_REQ_MCE_SHUTDOWN,
  type Kvm,
  KvmVcpu,
  type Spte,
  TLB_ENTRIES,
} from '../../../include/kvm.js'
import type { Folio } from '../../../include/mm.js'
import { bytesToPgoff, type Gfn, PAGE_SIZE, type Pfn } from '../../../include/types.js'
import { xaLoad } from '../../../lib/xarray.js'
import { pfnToFolio } from '../../../mm/page_alloc.js'
import { kvmFget, kvmOf } from '../../../virt/kvm/vm_file.js'
import { kvmMmuPageFault } from './mmu.js'

/**
 * The running task's vCPU, made when it is first needed.
 *
 * Models: 6.2 virt/kvm/kvm_main.c kvm_vm_ioctl_create_vcpu. Simplifies: unless the task has asked
 * for a descriptor (KVM_CREATE_VCPU), which keeps the VM until it is closed, the vCPU keeps the VM
 * only while it runs.
 */
export const taskVcpu = fn(function* kvm_create_vcpu(kvm: Kvm): Kernel<KvmVcpu> {
  const id = currentTaskNumber()
  yield read(kvm, 'vcpus')
  const known = kvm.vcpus.get(id)
  if (known !== null) return known
  const vcpu = kzalloc(KvmVcpu)
  vcpu.kvm = kvm
  vcpu.id = id
  yield write(kvm, 'vcpus')
  kvm.vcpus.set(id, vcpu)
  return vcpu
})

/**
 * Where the TLB keeps a gfn, or will: an entry that is valid makes room only if all of them are.
 * Hardware may drop any at any time; who keeps it as long as it can sees what a flush was needed for.
 */
export function tlbPlace(vcpu: KvmVcpu, gfn: Gfn): number {
  const first = gfn % TLB_ENTRIES
  for (let i = 0; i < TLB_ENTRIES; i++) {
    if (vcpu.tlbValid.get(i) !== 0 && vcpu.tlbGfn.get(i) === gfn) return i
  }
  for (let n = 0; n < TLB_ENTRIES; n++) {
    const i = (first + n) % TLB_ENTRIES
    if (vcpu.tlbValid.get(i) === 0) return i
  }
  return first
}

/**
 * Translate a gfn for an access: the TLB first, then a walk that fills it. A write that the TLB's
 * entry does not allow walks again, since the fault that it raises drops the entry. NULL: no
 * translation that allows the access.
 */
export function translate(vcpu: KvmVcpu, gfn: Gfn, toWrite: boolean): Folio | null {
  const entry = tlbPlace(vcpu, gfn)
  const known = vcpu.tlbValid.get(entry) !== 0 && vcpu.tlbGfn.get(entry) === gfn
  if (known && (!toWrite || vcpu.tlbWritable.get(entry) !== 0)) {
    return pfnToFolio(vcpu.tlbPfn.get(entry) as Pfn)
  }
  alsoReads(vcpu.kvm!.tdpMmu, 'xaHead')
  const spte = xaLoad(vcpu.kvm!.tdpMmu, gfn) as Spte | null
  if (spte !== null) alsoReads(spte, 'writable')
  if (spte === null || (toWrite && !spte.writable)) {
    if (known) vcpu.tlbValid.set(entry, 0)
    return null
  }
  vcpu.tlbValid.set(entry, 1)
  vcpu.tlbWritable.set(entry, spte.writable ? 1 : 0)
  vcpu.tlbGfn.set(entry, gfn)
  vcpu.tlbPfn.set(entry, spte.pfn)
  return pfnToFolio(spte.pfn)
}

/** That the guest has written, in the entry that still maps the frame. */
export function noteWrite(vcpu: KvmVcpu, gfn: Gfn, folio: Folio): void {
  alsoReads(vcpu.kvm!.tdpMmu, 'xaHead')
  const spte = xaLoad(vcpu.kvm!.tdpMmu, gfn) as Spte | null
  if (spte === null || spte.pfn !== folio.pfn) return
  alsoWrites(spte, 'written')
  spte.written = true
}

/** The access itself: the byte that was there, or -EHWPOISON for a machine check. */
function access(vcpu: KvmVcpu, gfn: Gfn, folio: Folio, offset: number, byte: number): number {
  alsoReads(folio, 'hwpoison')
  if (folio.hwpoison) {
    mark('guest-touched-poison')
    return -EHWPOISON
  }
  if (byte >= 0) {
    alsoWrites(folio, 'data')
    folio.data = withBytes(folio.data as Blob, offset, 1, byte)
    noteWrite(vcpu, gfn, folio)
    return 0
  }
  alsoReads(folio, 'data')
  tracepoint('kvm_guest_read', gfn, folio, offset)
  return byteAt(folio.data as Blob, offset)
}

/**
 * Run the guest until one access is done; `byte` is what to write, or -1 to read. 0 or the byte;
 * -EFAULT for an exit that user space would have to handle, -EIO after KVM_EXIT_SHUTDOWN and in a
 * VM that KVM has given up, -EHWPOISON for a machine check, -ENXIO for an exit to a device at this
 * address, as which a slot that only reads appears to a write.
 *
 * Models: 6.2 arch/x86/kvm/x86.c vcpu_run, as far as faults go.
 */
export const vcpuRun = fn(function* vcpu_run(
  vcpu: KvmVcpu,
  gpa: bigint,
  byte: number,
): Kernel<number> {
  const gfn = bytesToPgoff(gpa) as number as Gfn
  const offset = Number(gpa % PAGE_SIZE)
  for (;;) {
    // The hardware's own step: translate and access, whatever the kernel is doing.
    yield rmw(vcpu, 'tlbValid')
    alsoWrites(vcpu, 'tlbWritable')
    alsoWrites(vcpu, 'tlbGfn')
    alsoWrites(vcpu, 'tlbPfn')
    alsoWrites(vcpu, 'requests')
    alsoReads(vcpu.kvm!, 'vmDead')
    if (vcpu.kvm!.vmDead) return -EIO
    if (vcpu.requests & KVM_REQ_MCE_SHUTDOWN) {
      vcpu.requests &= ~KVM_REQ_MCE_SHUTDOWN
      vcpu.exitReason = KVM_EXIT_SHUTDOWN
      return -EIO
    }
    // KVM_REQ_MMU_FREE_OBSOLETE_ROOTS: nobody enters the guest with a root that was thrown away.
    alsoWrites(vcpu, 'rootObsolete')
    vcpu.rootObsolete = false
    const folio = translate(vcpu, gfn, byte >= 0)
    if (folio !== null) return access(vcpu, gfn, folio, offset, byte)
    const error = yield* kvmMmuPageFault(vcpu, gfn, byte >= 0)
    if (error !== 0) return error
  }
})

/** No processor has more physical address bits than these. */
const MAX_GPA = 1n << 52n

export const guestAccess = fn(function* kvm_run(
  vm: number,
  gpa: bigint,
  byte: number,
): Kernel<number> {
  if (gpa < 0n || gpa >= MAX_GPA) throw new LimitError('a guest physical address has 52 bits')
  const file = yield* kvmFget(vm)
  if (isErr(file)) return ptrErr(file)
  const vcpu = yield* taskVcpu(kvmOf(file))
  const ret = yield* vcpuRun(vcpu, gpa, byte)
  yield* fput(file)
  return ret
})

/** The guest writes one byte at a guest physical address (bytes). */
export const guestWrite = fn(function* guest_write(
  vm: number,
  gpa: bigint,
  byte: number,
): Kernel<number> {
  return yield* guestAccess(vm, gpa, byte)
})

/** The guest reads one byte at a guest physical address (bytes). */
export const guestRead = fn(function* guest_read(vm: number, gpa: bigint): Kernel<number> {
  return yield* guestAccess(vm, gpa, -1)
})
