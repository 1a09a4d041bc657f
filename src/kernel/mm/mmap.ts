/** mmap(2) of a file, as far as the answer: no mapping is made. */
import { fn, type Kernel } from '../../machine/fn.js'
import { fget, fput } from '../fs/file_table.js'
import { EBADF, EINVAL, ENODEV, EPERM } from '../include/errno.js'
import type { File } from '../include/fs.js'
import { MAP_PRIVATE, MAP_SHARED, PROT_EXEC } from '../include/uapi.js'

/** The refusals that depend on the file, in their order. */
function refusal(file: File, prot: number, flags: number): number {
  if (prot & PROT_EXEC && file.fInode!.iSb!.noexec) return -EPERM
  if (file.fOp!.mmap === undefined) return -ENODEV
  if (!(flags & (MAP_SHARED | MAP_PRIVATE))) return -EINVAL
  return 0
}

/**
 * mmap(2): 0 where Linux would return an address.
 *
 * Models: 6.2 mm/mmap.c do_mmap, the order of its checks on a file opened for reading and writing.
 * Simplifies: no address space; length, address and limits are taken for good.
 */
export const sysMmap = fn(function* mmap(fd: number, prot: number, flags: number): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  let ret = refusal(file, prot, flags)
  if (ret === 0) ret = yield* file.fOp!.mmap!(file)
  yield* fput(file)
  return ret
})
