/** The table of errors, in the order of its page. */
import { callRows } from './calls.js'
import { fileRows } from './file.js'
import { kvmRows } from './kvm.js'
import { memfdRows } from './memfd.js'
import { memoryRows } from './memory.js'
import type { Row } from './row.js'

export const ROWS: readonly Row[] = [
  ...memfdRows,
  ...fileRows,
  ...memoryRows,
  ...callRows,
  ...kvmRows,
]
