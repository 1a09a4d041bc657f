/**
 * /proc/sys/vm/drop_caches: go through every inode of every super block and drop its clean pages.
 * The inode that holds an inner restricted file is a tmpfs inode like any other.
 */
import { alsoReads, rmw } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { spinLock, spinUnlock } from '../../machine/locks.js'
import {
  fsState,
  I_FREEING,
  I_NEW,
  I_WILL_FREE,
  type Inode,
  type SuperBlock,
} from '../include/fs.js'
import { xaEmpty } from '../lib/xarray.js'
import { invalidateMappingPages } from '../mm/truncate.js'
import { iput } from './inode.js'

/**
 * Take a reference on an inode that has pages and is not on its way out. Both under i_lock, one
 * step: the last iput() says that it is the last under the same lock.
 *
 * Models: 6.2 fs/drop_caches.c drop_pagecache_sb, its section of i_lock, with __iget.
 *
 * Compared: 6.17 and 7.0 source.
 */
function wantsDrop(inode: Inode): boolean {
  alsoReads(inode, 'iState')
  alsoReads(inode.iMapping!.iPages, 'xaHead')
  if (inode.iState & (I_FREEING | I_WILL_FREE | I_NEW)) return false
  if (xaEmpty(inode.iMapping!.iPages)) return false
  inode.iCount++
  return true
}

/**
 * The list lock is dropped while an inode is worked on; a reference keeps its place in the list,
 * and is put only when the next one is found.
 *
 * Models: 6.2 fs/drop_caches.c drop_pagecache_sb.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const dropPagecacheSb = fn(function* drop_pagecache_sb(sb: SuperBlock): Kernel<void> {
  let toput: Inode | null = null
  yield* spinLock(sb.sInodeListLock)
  let inode = sb.sInodes
  while (inode !== null) {
    yield rmw(inode, 'iCount')
    if (wantsDrop(inode)) {
      spinUnlock(sb.sInodeListLock)
      yield* invalidateMappingPages(inode.iMapping!)
      if (toput !== null) yield* iput(toput)
      toput = inode
      yield* spinLock(sb.sInodeListLock)
    }
    inode = inode.iSbNext
  }
  spinUnlock(sb.sInodeListLock)
  if (toput !== null) yield* iput(toput)
})

/**
 * Write 1 to drop_caches. 6.2 does not drain the LRU batches first.
 *
 * Models: 6.2 fs/drop_caches.c drop_caches_sysctl_handler. Simplifies: super blocks never go.
 */
export const dropCaches = fn(function* drop_caches_sysctl_handler(): Kernel<number> {
  let sb = fsState().superBlocks
  while (sb !== null) {
    yield* dropPagecacheSb(sb)
    sb = sb.sNext
  }
  return 0
})
