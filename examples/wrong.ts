// Deliberately wrong: refuses migration of dirty pages only. It looks right as long as one tries
// it with pages that fallocate() made; a page that only the guest touched is clean.

import { defineDesign } from 'restrictedmem/designs/design.js'
import { upm } from 'restrictedmem/designs/upm.js'
import { EBUSY } from 'restrictedmem/kernel/include/errno.js'
import type { AddressSpace } from 'restrictedmem/kernel/include/fs.js'
import type { Folio } from 'restrictedmem/kernel/include/mm.js'
import { migrateFolio } from 'restrictedmem/kernel/mm/migrate.js'
import { fn, type Kernel, original, replace } from 'restrictedmem/machine/fn.js'

const migrate = original(migrateFolio)

const refuseDirty = fn(function* migrate_folio(
  mapping: AddressSpace | null,
  dst: Folio,
  src: Folio,
  mode: number,
): Kernel<number> {
  if (src.dirty) return -EBUSY
  return yield* migrate(mapping, dst, src, mode)
})

export const design = defineDesign({
  id: 'wrong',
  summary: 'upm, and only dirty pages refuse to migrate.',
  base: upm,
  cite: ['nobody proposed this'],
  replaces: [replace(migrateFolio, refuseDirty)],
})
