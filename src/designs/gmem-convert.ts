/**
 * gmem-convert: guest_memfd whose pages become private or shared where they are. What is private is
 * said by the file, not by the VM, so that a page has one kind for whoever reaches it, and the VMM
 * asks the file for a conversion. The series goes back to 2025; this is its 13th posting, as it was
 * applied for 7.4.
 *
 * A VMM of the other designs asks the VM, which answers -ENOTTY here: only scenarios that name this
 * design run on it.
 */
import { filesStruct } from '../kernel/include/fs.js'
import { addPages, bytesToPgoff, type Gfn, pgoffToBytes } from '../kernel/include/types.js'
import { kvmReleaseFaultinPage } from '../kernel/v6_18/arch/x86/kvm/mmu.js'
import {
  kvmGmemGetInvalidateFilter,
  kvmGmemGetSupportedFlags,
  kvmGmemMakeInode,
} from '../kernel/v6_18/virt/kvm/guest_memfd.js'
import { kvmGmemGetPfn, kvmGmemUnbind, publish } from '../kernel/v6_18/virt/kvm/guest_memfd_slot.js'
import {
  kvmGmemFaultFolio,
  kvmGmemIsPrivateMem,
} from '../kernel/v6_18/virt/kvm/guest_memfd_user.js'
import {
  kindByFile,
  kvmGmemAllocInode,
  kvmGmemFaultFolioShared,
  kvmGmemGetAllGfnsFilter,
  kvmGmemGetPfnLocked,
  kvmGmemInitMount,
  kvmGmemIsPrivateGfn,
  kvmGmemIsPrivateIndex,
  kvmGmemSupportedFlagsAll,
  kvmGmemUnbindLocked,
  kvmReleaseFaultinPageIfAny,
  kvmVmHasNoAttributes,
  publishGmemOnly,
} from '../kernel/v7_4/virt/kvm/guest_memfd.js'
import { kvmGmemSetAttributes } from '../kernel/v7_4/virt/kvm/guest_memfd_convert.js'
import { sysKvmSetMemoryAttributes2 } from '../kernel/virt/kvm/guest_memfd.js'
import { attrPrivate, sysKvmSetMemoryAttributes } from '../kernel/virt/kvm/memory_attributes.js'
import { searchMemslots } from '../kernel/virt/kvm/memslots.js'
import { kvmOf } from '../kernel/virt/kvm/vm_file.js'
import { alsoReads, read } from '../machine/effects.js'
import { fn, type Kernel, replace } from '../machine/fn.js'
import { gfnKind } from '../user/harness.js'
import { privateMemory, setAttributes2, vmmConvert } from '../user/vmm.js'
import { defineDesign } from './design.js'
import { gmemPrivateMemory } from './gmem.js'

/** The VMM knows by which descriptor it has a guest's memory: that and the page's offset, or -1. */
function fileBehind(vm: number, gfn: Gfn): { fd: number; offset: bigint } {
  const { fd } = filesStruct()
  const kvm = kvmOf(fd.get(vm)!)
  alsoReads(kvm, 'memslots')
  const slot = searchMemslots(kvm.memslots!, gfn)
  if (slot === null) return { fd: -1, offset: 0n }
  let found = -1
  for (let n = 0; n < fd.length; n++) if (fd.get(n) === slot.gmemFile) found = n
  return { fd: found, offset: pgoffToBytes(addPages(slot.gmemPgoff, gfn - slot.baseGfn)) }
}

/** What the guest asks of pages, the VMM asks of the file that they are in. */
export const vmmConvertInPlace = fn(function* vmm_convert(
  vm: number,
  gpa: bigint,
  size: bigint,
  attributes: number,
): Kernel<number> {
  yield read(filesStruct(), 'fd')
  const behind = fileBehind(vm, bytesToPgoff(gpa) as number as Gfn)
  const fd = behind.fd
  const offset = behind.offset
  return yield* setAttributes2(fd, offset, size, BigInt(attributes), 0n, 0)
})

export const gmemConvert = defineDesign({
  id: 'gmem-convert',
  summary: 'guest_memfd that converts pages in place: the file says what is private.',
  profile: '6.18',
  cite: ['kvm-x86 of September 2026, virt/kvm/guest_memfd.c (in-place conversion v13)'],
  init: kvmGmemInitMount,
  onlyNamed: true,
  replaces: [
    replace(privateMemory, gmemPrivateMemory),
    replace(vmmConvert, vmmConvertInPlace),
    replace(gfnKind, kindByFile),
    replace(attrPrivate, kvmGmemIsPrivateGfn),
    replace(sysKvmSetMemoryAttributes, kvmVmHasNoAttributes),
    replace(sysKvmSetMemoryAttributes2, kvmGmemSetAttributes),
    replace(kvmGmemGetSupportedFlags, kvmGmemSupportedFlagsAll),
    replace(kvmGmemMakeInode, kvmGmemAllocInode),
    replace(kvmGmemGetInvalidateFilter, kvmGmemGetAllGfnsFilter),
    replace(kvmGmemIsPrivateMem, kvmGmemIsPrivateIndex),
    replace(kvmGmemFaultFolio, kvmGmemFaultFolioShared),
    replace(publish, publishGmemOnly),
    replace(kvmGmemUnbind, kvmGmemUnbindLocked),
    replace(kvmGmemGetPfn, kvmGmemGetPfnLocked),
    replace(kvmReleaseFaultinPage, kvmReleaseFaultinPageIfAny),
  ],
})
