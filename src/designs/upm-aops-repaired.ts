/**
 * upm-aops-repaired: upm-aops with the two repairs that its memory failure walk needs to get to
 * the bindings at all: the outer inode is put on the list that the walk reads, and the walk skips
 * an inode without an object. It shows what lies behind the crash. Nothing else is repaired:
 * shmem_mapping() still faults where it is asked of the swap cache.
 */

import { inodeSbListAdd } from '../kernel/fs/inode.js'
import type { AddressSpace, File, FileOperations, InodeOperations } from '../kernel/include/fs.js'
import { type Folio, nrPages } from '../kernel/include/mm.js'
import { addPages } from '../kernel/include/types.js'
import { read } from '../machine/effects.js'
import { fn, type Kernel, original, replace } from '../machine/fn.js'
import { spinLock, spinUnlock } from '../machine/locks.js'
import { isErr, type Obj } from '../machine/struct.js'
import { defineDesign } from './design.js'
import { upmAops } from './upm-aops.js'
import { type Restrictedmem, restrictedmemErrorWalk, upmCallError } from './upm-mm.js'
import { restrictedmemMnt, restrictedmemOuterFile } from './wrapper.js'

const outerFile = original(restrictedmemOuterFile)

export const listedOuterFile = fn(function* restrictedmem_outer_file(
  object: Obj,
  fops: FileOperations,
  iops: InodeOperations,
): Kernel<File> {
  const file = yield* outerFile(object, fops, iops)
  if (!isErr(file)) yield* inodeSbListAdd(file.fInode!)
  return file
})

/** The walk of upm with a NULL test. Nothing keeps the object alive between the two reads. */
export const repairedErrorWalk = fn(function* restrictedmem_error_walk(
  folio: Folio,
  mapping: AddressSpace,
): Kernel<void> {
  const sb = restrictedmemMnt()
  const start = folio.index
  const end = addPages(start, nrPages(folio))
  yield* spinLock(sb.sInodeListLock)
  let inode = sb.sInodes
  while (inode !== null) {
    const rm = inode.iMapping!.privateData as Restrictedmem | null
    if (rm !== null) {
      yield read(rm, 'memfd')
      if (rm.memfd!.fMapping === mapping) {
        yield* upmCallError(rm, start, end)
        break
      }
    }
    inode = inode.iSbNext
  }
  spinUnlock(sb.sInodeListLock)
})

export const upmAopsRepaired = defineDesign({
  id: 'upm-aops-repaired',
  summary: 'upm-aops with the outer inode on s_inodes and a NULL test in the walk.',
  base: upmAops,
  cite: ['a repair of our own, as built into the recorded kernel runs'],
  replaces: [
    replace(restrictedmemOuterFile, listedOuterFile),
    replace(restrictedmemErrorWalk, repairedErrorWalk),
  ],
})
