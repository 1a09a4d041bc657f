/** KVM's side of upm: a private slot binds its part of the file exclusively, and owns the file. */

import { fget, fput } from '../kernel/fs/file_table.js'
import { EINVAL } from '../kernel/include/errno.js'
import type { File } from '../kernel/include/fs.js'
import type { KvmMemorySlot } from '../kernel/include/kvm.js'
import type { Folio } from '../kernel/include/mm.js'
import { addPages, type Gfn, type Pgoff } from '../kernel/include/types.js'
import { RESTRICTEDMEM_MAGIC } from '../kernel/include/uapi.js'
import { gfnToPgoff } from '../kernel/virt/kvm/restrictedmem.js'
import { fn, type Kernel } from '../machine/fn.js'
import { restrictedmemGetPage, upmBind, upmUnbind } from './upm-mm.js'

/** file_is_restrictedmem(): by the super block's magic. */
export function fileIsRestrictedmem(file: File): boolean {
  return file.fInode!.iSb!.sMagic === RESTRICTEDMEM_MAGIC
}

/** Offsets (pages) from here on are negative as an loff_t. */
const NEGATIVE_OFFSETS = 2 ** 51

/** Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_restrictedmem_bind. */
export const upmKvmBind = fn(function* kvm_restrictedmem_bind(
  slot: KvmMemorySlot,
  fd: number,
  offset: Pgoff,
): Kernel<number> {
  if (offset >= NEGATIVE_OFFSETS) return -EINVAL
  const file = yield* fget(fd)
  if (file === null) return -EINVAL
  let ret = -EINVAL
  if (fileIsRestrictedmem(file)) {
    // Before the binding, whose callbacks may come at once.
    slot.restrictedOffset = offset
    const end = addPages(offset, slot.npages)
    ret = yield* upmBind(file, offset, end, slot.notifier, true)
  }
  if (ret !== 0) {
    yield* fput(file)
    return ret
  }
  slot.restrictedFile = file
  return 0
})

/** Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_restrictedmem_unbind. */
export const upmKvmUnbind = fn(function* kvm_restrictedmem_unbind(
  slot: KvmMemorySlot,
): Kernel<void> {
  const file = slot.restrictedFile!
  const start = slot.restrictedOffset
  yield* upmUnbind(file, start, addPages(start, slot.npages))
  slot.restrictedFile = null
  yield* fput(file)
})

/** Models: x86/upm_base_support virt/kvm/kvm_main.c kvm_restrictedmem_get_pfn. */
export const upmKvmGetPfn = fn(function* kvm_restrictedmem_get_pfn(
  slot: KvmMemorySlot,
  gfn: Gfn,
): Kernel<Folio> {
  return yield* restrictedmemGetPage(slot.restrictedFile!, gfnToPgoff(slot, gfn))
})
