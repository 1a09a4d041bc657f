/** madvise(2) of 6.18: a shared mapping that could be made writable may punch too. */
import { fn } from '../../../machine/fn.js'
import { VM_MAYWRITE, VM_SHARED, type VmArea } from '../../include/mm_types.js'

/** Models: 6.18 include/linux/mm.h vma_is_shared_maywrite. */
export const isSharedMaywrite = fn(function vma_is_shared_maywrite(vma: VmArea): boolean {
  const both = VM_SHARED | VM_MAYWRITE
  return (vma.vmFlags & both) === both
})
