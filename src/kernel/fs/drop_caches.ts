/**
 * /proc/sys/vm/drop_caches: go through every inode of every super block and drop its clean pages.
 * The inode that holds an inner restricted file is a tmpfs inode like any other.
 */
import { alsoReads, read } from '../../machine/effects.js'
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
import { invalidateMappingPages } from '../mm/truncate.js'
import { ihold, iput } from './inode.js'

/**
 * The list lock is dropped while an inode is worked on; a reference keeps its place in the list,
 * and is put only when the next one is found.
 *
 * Models: 6.2 fs/drop_caches.c drop_pagecache_sb.
 */
const dropPagecacheSb = fn(function* drop_pagecache_sb(sb: SuperBlock): Kernel<void> {
  let toput: Inode | null = null
  yield* spinLock(sb.sInodeListLock)
  let inode = sb.sInodes
  while (inode !== null) {
    yield read(inode, 'iState')
    alsoReads(inode.iMapping!, 'nrpages')
    const going = inode.iState & (I_FREEING | I_WILL_FREE | I_NEW)
    if (!going && inode.iMapping!.nrpages > 0) {
      yield* ihold(inode)
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
