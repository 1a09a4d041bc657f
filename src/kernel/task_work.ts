/** Work that a task does on its way back to user mode. Here that is the last fput() of a file. */
import { fn, type Kernel } from '../machine/fn.js'
import { taskWorkTake } from '../machine/work.js'
import { __fput } from './fs/file_table.js'
import type { File } from './include/fs.js'

/** Models: 6.2 kernel/task_work.c task_work_run, with fs/file_table.c ____fput as only work. */
export const taskWorkRun = fn(function* task_work_run(): Kernel<void> {
  let file = taskWorkTake() as File | null
  while (file !== null) {
    yield* __fput(file)
    file = taskWorkTake() as File | null
  }
})
