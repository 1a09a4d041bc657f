/** What is done to pages by name: failures, migration, what an administrator asks for. */
import { dropCaches } from '../kernel/fs/drop_caches.js'
import { compact } from '../kernel/mm/compaction.js'
import {
  drainLru,
  memoryFailureOp,
  migratePage,
  offlineMemory,
  softOfflineOp,
  unpoisonOp,
} from '../user/pages.js'
import { call, fd, number } from './call.js'

const page = number('page')

export const PAGE_CALLS = {
  migrate: call(migratePage, [fd, page], 'Isolate a page of a file and migrate it.'),
  compact: call(compact, [], '/proc/sys/vm/compact_memory.', { ownMachine: true }),
  memory_failure: call(memoryFailureOp, [fd, page], 'Poison the frame of a page.'),
  soft_offline: call(softOfflineOp, [fd, page], 'Soft offline the frame of a page.'),
  unpoison: call(unpoisonOp, [fd, page], 'Take an injected poison back.'),
  drain_lru: call(drainLru, [], 'lru_add_drain_all(): empty the LRU batches of all CPUs.'),
  drop_caches: call(dropCaches, [], '/proc/sys/vm/drop_caches.'),
  offline_memory: call(offlineMemory, [fd], 'Offline the memory block of a file.'),
} as const
