/** The end of the process. What is allocated after it has leaked. */
import { fn, type Kernel } from '../machine/fn.js'
import { sysClose } from './fs/file_table.js'
import { filesStruct, NR_OPEN } from './include/fs.js'
import { exitMmap } from './mm/mmap.js'

/**
 * Close every descriptor, lowest first.
 *
 * Models: 6.2 fs/file.c exit_files and close_files.
 *
 * Compared: 6.12 source.
 */
export const exitFiles = fn(function* exit_files(): Kernel<void> {
  let fd = 0
  while (fd < NR_OPEN) {
    if (filesStruct().fd.get(fd) !== null) yield* sysClose(fd)
    fd++
  }
})

/**
 * Memory goes before files: a VM loses its view of the process before its descriptor is closed. Of
 * the files whose last reference this was, the release is task work, which runs behind it.
 *
 * Models: 6.2 kernel/exit.c do_exit, its order of exit_mm(), exit_files() and exit_task_work().
 *
 * Compared: 6.12 source.
 */
export const doExit = fn(function* do_exit(): Kernel<void> {
  yield* exitMmap()
  yield* exitFiles()
})
