/**
 * The end of the process: its memory goes and every descriptor is closed, lowest
 * first. What is then still allocated
 * has leaked.
 */
import { fn, type Kernel } from '../machine/fn.js'
import { sysClose } from './fs/file_table.js'
import { filesStruct, NR_OPEN } from './include/fs.js'
import { exitMmap } from './mm/mmap.js'

/**
 * Models: 6.2 fs/file.c exit_files and close_files. Simplifies: task work of one close runs before
 * the next only at the end, as it does for an exiting task.
 */
export const exitFiles = fn(function* exit_files(): Kernel<void> {
  let fd = 0
  while (fd < NR_OPEN) {
    if (filesStruct().fd.get(fd) !== null) yield* sysClose(fd)
    fd++
  }
  yield* exitMmap()
})
