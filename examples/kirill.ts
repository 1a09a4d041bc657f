// Kirill's answer, cut down to the one refusal: the inner file's mapping says no to migration.

import { defineDesign } from 'restrictedmem/designs/design.js'
import { upm } from 'restrictedmem/designs/upm.js'
import { restrictedmemPrepareMapping } from 'restrictedmem/designs/wrapper.js'
import { EBUSY } from 'restrictedmem/kernel/include/errno.js'
import type { AddressSpace, File } from 'restrictedmem/kernel/include/fs.js'
import { shmemAops, shmemMapping } from 'restrictedmem/kernel/mm/shmem.js'
import { fn, type Kernel, replace } from 'restrictedmem/machine/fn.js'
import { opsTable } from 'restrictedmem/machine/struct.js'

const refuse = fn(function* restricted_folio_migrate(): Kernel<number> {
  return -EBUSY
})

const aops = opsTable({ ...shmemAops, name: 'restricted_aops', migrateFolio: refuse })

export const design = defineDesign({
  id: 'kirill',
  summary: 'The inner mapping refuses migration; everything else as in upm.',
  base: upm,
  cite: ['20230123154334.mmbdpniy76zsec5m@box'],
  replaces: [
    replace(
      restrictedmemPrepareMapping,
      fn(function prepare(memfd: File): void {
        memfd.fMapping!.aOps = aops
      }),
    ),
    replace(
      shmemMapping,
      fn(function shmem_mapping(mapping: AddressSpace): boolean {
        return mapping.aOps === shmemAops || mapping.aOps === aops
      }),
    ),
  ],
})
