/**
 * Linux 6.18, as a diff of the 6.2 that the other folders have. The folders here mirror the Linux
 * tree again and hold the functions that differ where it can be seen; this file says which
 * function of 6.2 becomes which.
 */
import { type Replacement, replace } from '../../machine/fn.js'
import { vfsFallocateMode } from '../fs/open.js'
import { memfdAllSeals, memfdImpliedSeals, memfdInitFile, memfdSanitizeFlags } from '../mm/memfd.js'
import { memfdCheckSealsMmap } from '../mm/mmap.js'
import { sealCheckFutureWrite } from '../mm/shmem_mmap.js'
import { vmaCountsAsWriter } from '../mm/vma.js'
import { fallocateMode } from './fs/open.js'
import {
  allocFile,
  allSeals,
  checkSealsMmap,
  countsAsWriter,
  impliedSeals,
  noSealCheck,
  sanitizeFlags,
} from './mm/memfd.js'

export const LINUX_6_18: readonly Replacement[] = [
  replace(vfsFallocateMode, fallocateMode),
  replace(memfdSanitizeFlags, sanitizeFlags),
  replace(memfdInitFile, allocFile),
  replace(memfdAllSeals, allSeals),
  replace(memfdImpliedSeals, impliedSeals),
  replace(memfdCheckSealsMmap, checkSealsMmap),
  replace(vmaCountsAsWriter, countsAsWriter),
  replace(sealCheckFutureWrite, noSealCheck),
]
