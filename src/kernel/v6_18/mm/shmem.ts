/** Reading tmpfs in 6.18: a file that has been cut off meanwhile has no more bytes. */
import { fn } from '../../../machine/fn.js'
import type { Inode } from '../../include/fs.js'

/** Models: 6.18 mm/shmem.c shmem_file_read_iter, its second look at i_size; read in 6.17 and 7.0. */
export const bytesToEnd = fn(function shmem_bytes_in_page(inode: Inode, pos: bigint): bigint {
  return inode.iSize - pos
})
