/**
 * What the recorded kernel could switch on at run time: pieces of other series, as small designs on
 * top of one of ours.
 */
import { type Design, defineDesign } from '../../src/designs/design.js'
import {
  type Restrictedmem,
  restrictedmemErrorWalk,
  upmBind,
  upmCallError,
  upmGetattr,
} from '../../src/designs/upm-mm.js'
import { v10 } from '../../src/designs/v10.js'
import { privateDataOf, restrictedmemMnt } from '../../src/designs/wrapper.js'
import {
  type AddressSpace,
  type Dentry,
  type File,
  I_FREEING,
  I_NEW,
  I_WILL_FREE,
  type Inode,
  type Kstat,
} from '../../src/kernel/include/fs.js'
import { type Folio, nrPages } from '../../src/kernel/include/mm.js'
import type { RestrictedmemNotifier } from '../../src/kernel/include/restrictedmem.js'
import { addPages, type Pgoff } from '../../src/kernel/include/types.js'
import { xaStoreRange } from '../../src/kernel/lib/xarray.js'
import { rmw } from '../../src/machine/effects.js'
import { fn, type Kernel, replace } from '../../src/machine/fn.js'
import { downWrite, spinLock, spinUnlock, upWrite } from '../../src/machine/locks.js'

/** Skip an inode that is coming or going, or, as TDX's series had it, that is in use. */
function skipped(inode: Inode): boolean {
  return (inode.iState & (I_FREEING | I_WILL_FREE | I_NEW)) !== 0 || inode.iCount !== 0
}

const tdxErrorWalk = fn(function* restrictedmem_error_walk(
  folio: Folio,
  mapping: AddressSpace,
): Kernel<void> {
  const sb = restrictedmemMnt()
  const start = folio.index
  yield* spinLock(sb.sInodeListLock)
  let inode = sb.sInodes
  while (inode !== null) {
    if (!skipped(inode)) {
      const rm = inode.iMapping!.privateData as Restrictedmem
      if (rm.memfd!.fMapping === mapping) {
        yield* upmCallError(rm, start, addPages(start, nrPages(folio)))
        break
      }
    }
    inode = inode.iSbNext
  }
  spinUnlock(sb.sInodeListLock)
})

/** The memory failure walk of TDX's series. */
export function withTdxWalk(base: Design): Design {
  return defineDesign({
    id: `${base.id}-tdx-walk`,
    summary: 'the walk skips inodes in use',
    base,
    cite: ['ZDdV0Fh7nDEnY/eW@google.com'],
    replaces: [replace(restrictedmemErrorWalk, tdxErrorWalk)],
  })
}

const listGetattr = fn(function* restrictedmem_getattr(
  dentry: Dentry,
  kstat: Kstat,
): Kernel<number> {
  const rm = privateDataOf(dentry) as Restrictedmem
  return yield* rm.memfd!.fInode!.iOp!.getattr!(dentry, kstat)
})

/** The getattr of the list version: tmpfs's, given the wrapper's path. */
export function withListGetattr(base: Design): Design {
  return defineDesign({
    id: `${base.id}-list-getattr`,
    summary: "getattr hands the wrapper's path to tmpfs",
    base,
    cite: v10.cite,
    replaces: [replace(upmGetattr, listGetattr)],
  })
}

const warningBind = fn(function* restrictedmem_bind(
  file: File,
  start: Pgoff,
  end: Pgoff,
  notifier: RestrictedmemNotifier,
  exclusive: boolean,
): Kernel<number> {
  const rm = file.fMapping!.privateData as Restrictedmem
  yield* downWrite(rm.lock)
  yield rmw(rm.bindings, 'xaHead')
  xaStoreRange(rm.bindings, start, end, notifier)
  rm.exclusive = exclusive
  yield* upWrite(rm.lock)
  return 0
})

/** SNP's descendants bind over what is bound already, and print a warning. */
export function withOverlapWarned(base: Design): Design {
  return defineDesign({
    id: `${base.id}-overlap-warned`,
    summary: 'bind replaces whoever is there',
    base,
    cite: ['the SNP descendants of x86/upm_base_support'],
    replaces: [replace(upmBind, warningBind)],
  })
}
