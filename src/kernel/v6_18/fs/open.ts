/** fallocate(2) of 6.18: the modes exclude each other. */
import { fn } from '../../../machine/fn.js'
import { EOPNOTSUPP } from '../../include/errno.js'
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_WRITE_ZEROES,
  FALLOC_FL_ZERO_RANGE,
} from '../../include/uapi.js'

/** Models: 6.18 fs/open.c vfs_fallocate, its first tests. */
export const fallocateMode = fn(function vfs_fallocate_mode(mode: number): number {
  const keepSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0
  switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0:
    case FALLOC_FL_UNSHARE_RANGE:
    case FALLOC_FL_ZERO_RANGE:
      return 0
    case FALLOC_FL_PUNCH_HOLE:
      return keepSize ? 0 : -EOPNOTSUPP
    case FALLOC_FL_COLLAPSE_RANGE:
    case FALLOC_FL_INSERT_RANGE:
    case FALLOC_FL_WRITE_ZEROES:
      return keepSize ? -EOPNOTSUPP : 0
    default:
      return -EOPNOTSUPP
  }
})
