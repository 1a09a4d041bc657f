/** Work that a task does on its way back to user mode. Here that is the last fput() of a file. */
import { fn, type Kernel } from '../machine/fn.js'
import { taskWorkCount, taskWorkTake } from '../machine/work.js'
import { __fput } from './fs/file_table.js'
import type { File } from './include/fs.js'

/**
 * Run what is queued, the last item first. What the items themselves queue waits for the next
 * round, so the inner file of an outer one goes after all that were closed with it.
 *
 * Models: 6.2 kernel/task_work.c task_work_run, with fs/file_table.c ____fput as only work.
 */
export const taskWorkRun = fn(function* task_work_run(): Kernel<void> {
  let left = taskWorkCount()
  while (left > 0) {
    while (left > 0) {
      left--
      yield* __fput(taskWorkTake(left) as File)
    }
    left = taskWorkCount()
  }
})
