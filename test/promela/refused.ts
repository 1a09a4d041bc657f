/** A kernel function that the exporter must refuse. */
import { read } from '../../src/machine/effects.js'
import { fn, type Kernel } from '../../src/machine/fn.js'
import { current } from '../../src/machine/task.js'

export const beyondC = fn(function* beyond_c(n: number): Kernel<number> {
  yield read(current(), 'op')
  return [n, n].join('-').length
})
