/**
 * Names that may stand where a number does: everything that user space passes in, under the
 * kernel's names, and short ones for what scenarios say most.
 */
import { DEVTMPFS_DEVICE, TMPFS_DIRECTORY, TMPFS_FIFO, TMPFS_REGULAR } from '../kernel/fs/namei.js'
import { STAT_BLOCKS, STAT_MODE, STAT_SIZE_PAGES } from '../kernel/fs/stat.js'
import * as uapi from '../kernel/include/uapi.js'
import { ERROR_OFFSET } from '../user/vmm.js'

const SHORT = {
  DEFAULT: uapi.KVM_X86_DEFAULT_VM,
  SW_PROTECTED: uapi.KVM_X86_SW_PROTECTED_VM,
  PRIVATE: uapi.KVM_MEMORY_ATTRIBUTE_PRIVATE,
  KEEP_SIZE: uapi.FALLOC_FL_KEEP_SIZE,
  PUNCH_HOLE: uapi.FALLOC_FL_PUNCH_HOLE,
  COLLAPSE_RANGE: uapi.FALLOC_FL_COLLAPSE_RANGE,
  ZERO_RANGE: uapi.FALLOC_FL_ZERO_RANGE,
  INSERT_RANGE: uapi.FALLOC_FL_INSERT_RANGE,
  UNSHARE_RANGE: uapi.FALLOC_FL_UNSHARE_RANGE,
  REGULAR: TMPFS_REGULAR,
  DIRECTORY: TMPFS_DIRECTORY,
  FIFO: TMPFS_FIFO,
  DEVICE: DEVTMPFS_DEVICE,
  BLOCKS: STAT_BLOCKS,
  SIZE_IN_PAGES: STAT_SIZE_PAGES,
  MODE: STAT_MODE,
  ERROR_OFFSET,
} as const

const KERNEL = Object.entries<unknown>({ ...uapi }).filter(
  (entry): entry is [string, number] => typeof entry[1] === 'number',
)

export const CONSTANTS: ReadonlyMap<string, number> = new Map([...Object.entries(SHORT), ...KERNEL])
