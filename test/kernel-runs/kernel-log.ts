/**
 * What the recorded kernel counted (vmstat, calls of the override) and printed, on the model:
 * functions of the kernel are replaced by ones that do the same and take notes.
 */
import { type Design, defineDesign } from '../../src/designs/design.js'
import { restrictedFolioMigrate } from '../../src/designs/upm-aops.js'
import { EAGAIN, EBUSY, EHWPOISON } from '../../src/kernel/include/errno.js'
import type { AddressSpace } from '../../src/kernel/include/fs.js'
import { type Folio, MR_MEMORY_FAILURE } from '../../src/kernel/include/mm.js'
import type { Pfn } from '../../src/kernel/include/types.js'
import {
  actionResult,
  hasExtraRefcount,
  MF_MSG_BUDDY,
  MF_MSG_CLEAN_LRU,
  MF_MSG_CLEAN_UNEVICTABLE_LRU,
  MF_MSG_DIRTY_LRU,
  MF_MSG_DIRTY_UNEVICTABLE_LRU,
  MF_MSG_TRUNCATED_LRU,
  MF_MSG_UNKNOWN,
  memoryFailure,
  pageAction,
} from '../../src/kernel/mm/memory_failure.js'
import { migratePages } from '../../src/kernel/mm/migrate.js'
import { softOfflineInUsePage } from '../../src/kernel/mm/soft_offline.js'
import { fn, type Kernel, original, replace } from '../../src/machine/fn.js'
import type { Observation } from './observe.js'

const TYPES: Readonly<Record<number, string>> = {
  [MF_MSG_DIRTY_UNEVICTABLE_LRU]: 'dirty unevictable LRU page',
  [MF_MSG_CLEAN_UNEVICTABLE_LRU]: 'clean unevictable LRU page',
  [MF_MSG_DIRTY_LRU]: 'dirty LRU page',
  [MF_MSG_CLEAN_LRU]: 'clean LRU page',
  [MF_MSG_TRUNCATED_LRU]: 'already truncated LRU page',
  [MF_MSG_BUDDY]: 'free buddy page',
  [MF_MSG_UNKNOWN]: 'unknown page',
}
const RESULTS = ['Ignored', 'Failed', 'Delayed', 'Recovered']

let overrideCalls = 0
let overrideAnswer = -EBUSY
let migrated = 0
let failed = 0
let printed: string[] = []
let type = 0

/** Counts since the last time. */
export function takeCounts(): Observation {
  const counts = {
    override_calls: overrideCalls,
    pgmigrate_fail: failed,
    pgmigrate_success: migrated,
  }
  overrideCalls = 0
  migrated = 0
  failed = 0
  return counts
}

/** What the kernel has printed since the last time; `<n>` for a frame's number. */
export function takePrinted(): string[] {
  const taken = printed
  printed = []
  return taken
}

/** What the override answers: -EBUSY, or -EAGAIN as an experiment had it. */
export function answerOverride(again: boolean): void {
  overrideAnswer = again ? -EAGAIN : -EBUSY
}

const originalMigratePages = original(migratePages)
const countedMigratePages = fn(function* migrate_pages(
  folio: Folio,
  nid: number,
  mode: number,
  reason: number,
): Kernel<number> {
  const left = yield* originalMigratePages(folio, nid, mode, reason)
  countMigration(left)
  return left
})

function countMigration(left: number): void {
  if (left === 0) migrated++
  else failed++
}

const countedOverride = fn(function* restricted_folio_migrate(
  _mapping: AddressSpace,
  _dst: Folio,
  _src: Folio,
  _mode: number,
): Kernel<number> {
  countOverride()
  return overrideAnswer
})

function countOverride(): void {
  overrideCalls++
}

const originalPageAction = original(pageAction)
const notedPageAction = fn(function* page_action(what: number, p: Folio): Kernel<number> {
  noteType(what)
  return yield* originalPageAction(what, p)
})

function noteType(what: number): void {
  type = what
}

const originalActionResult = original(actionResult)
const printedActionResult = fn(function action_result(
  p: Folio,
  what: number,
  result: number,
): number {
  print(`Memory failure: <n>: recovery action for ${TYPES[what]}: ${RESULTS[result]}`)
  return originalActionResult(p, what, result)
})

const originalHasExtraRefcount = original(hasExtraRefcount)
const printedHasExtraRefcount = fn(function* has_extra_refcount(
  p: Folio,
  extraPins: boolean,
): Kernel<boolean> {
  const extra = yield* originalHasExtraRefcount(p, extraPins)
  if (extra) printUsers(p.refcount - (extraPins ? 2 : 1))
  return extra
})

function printUsers(count: number): void {
  print(`Memory failure: <n>: ${TYPES[type]} still referenced by ${count} users`)
}

const originalMemoryFailure = original(memoryFailure)
const printedMemoryFailure = fn(function* memory_failure(
  pfn: Pfn,
  mfFlags: number,
): Kernel<number> {
  const ret = yield* originalMemoryFailure(pfn, mfFlags)
  if (ret === -EHWPOISON) print('Memory failure: <n>: already hardware poisoned')
  return ret
})

const originalSoftOffline = original(softOfflineInUsePage)
const printedSoftOffline = fn(function* soft_offline_in_use_page(p: Folio): Kernel<number> {
  const before = migrated + failed
  const ret = yield* originalSoftOffline(p)
  printSoftOffline(p, ret, migrated + failed > before)
  return ret
})

function printSoftOffline(p: Folio, ret: number, tried: boolean): void {
  if (ret === 0 && !tried) print('soft_offline: <n>: invalidated')
  if (ret === 0 || !tried) return
  const names = ['referenced', 'uptodate', 'dirty', 'swapbacked', 'unevictable'] as const
  const flags = [...names.filter((name) => p[name]), 'zone=0'].join('|')
  print(`soft offline: <n>: page migration failed 1, type <n>(${flags})`)
}

function print(text: string): void {
  printed.push(text)
}

/** A design whose kernel takes these notes. */
export function noted(base: Design): Design {
  return defineDesign({
    id: `${base.id}-noted`,
    summary: 'with notes of what a real kernel counts and prints',
    base,
    cite: [],
    replaces: [
      replace(migratePages, countedMigratePages),
      replace(restrictedFolioMigrate, countedOverride),
      replace(pageAction, notedPageAction),
      replace(actionResult, printedActionResult),
      replace(hasExtraRefcount, printedHasExtraRefcount),
      replace(memoryFailure, printedMemoryFailure),
      replace(softOfflineInUsePage, printedSoftOffline),
    ],
  })
}

/** Why the recorded driver migrates, so that the old frame stays for it to look at. */
export const DRIVER_REASON = MR_MEMORY_FAILURE
