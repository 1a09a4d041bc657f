// Sean's answer, as guest_memfd has it since 6.8: core mm asks the mapping before any operation.
// A mapping whose gfp mask is not movable counts as unmovable here.

import { defineDesign } from 'restrictedmem/designs/design.js'
import { upm } from 'restrictedmem/designs/upm.js'
import { EOPNOTSUPP } from 'restrictedmem/kernel/include/errno.js'
import type { Folio } from 'restrictedmem/kernel/include/mm.js'
import { moveToNewFolio } from 'restrictedmem/kernel/mm/migrate.js'
import { fn, type Kernel, original, replace } from 'restrictedmem/machine/fn.js'

const move = original(moveToNewFolio)

const askMapping = fn(function* move_to_new_folio(
  dst: Folio,
  src: Folio,
  mode: number,
): Kernel<number> {
  if (src.mapping !== null && !src.mapping.gfpMovable) return -EOPNOTSUPP
  return yield* move(dst, src, mode)
})

export const design = defineDesign({
  id: 'sean',
  summary: 'upm, and move_to_new_folio() refuses for mappings that are marked unmovable.',
  base: upm,
  cite: ['the AS_UNMOVABLE flag of Linux 6.8'],
  replaces: [replace(moveToNewFolio, askMapping)],
})
