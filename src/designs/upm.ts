/**
 * upm: the reworked series of January 2023. What it does to mm is in `upm-mm.ts`, what KVM does
 * with it in `upm-kvm.ts`; this file says which function of the kernel becomes which.
 */

import { mePagecacheClean } from '../kernel/mm/memory_failure.js'
import { sysMemfdRestricted } from '../kernel/mm/restrictedmem.js'
import {
  kvmRestrictedMemGetPfn,
  kvmRestrictedmemBind,
  kvmRestrictedmemUnbind,
} from '../kernel/virt/kvm/restrictedmem.js'
import { replace } from '../machine/fn.js'
import { backingMapping } from '../user/harness.js'
import { defineDesign } from './design.js'
import { mePagecacheCleanHooked, restrictedmemErrorPage } from './memory-failure-hook.js'
import { upmKvmBind, upmKvmGetPfn, upmKvmUnbind } from './upm-kvm.js'
import { upmBackingMapping, upmErrorPage, upmFileCreate } from './upm-mm.js'
import { memfdRestricted, restrictedmemFileCreate, restrictedmemInit } from './wrapper.js'

export const upm = defineDesign({
  id: 'upm',
  summary: 'Bindings in an XArray under an rwsem; migration and reclaim as for any tmpfs page.',
  cite: ['Y8HTITl1+Oe0H7Gd@google.com', 'googleprodkernel/linux-cc@157af0ad'],
  init: restrictedmemInit,
  locks: ['rm->lock'],
  replaces: [
    replace(sysMemfdRestricted, memfdRestricted),
    replace(restrictedmemFileCreate, upmFileCreate),
    replace(mePagecacheClean, mePagecacheCleanHooked),
    replace(restrictedmemErrorPage, upmErrorPage),
    replace(kvmRestrictedmemBind, upmKvmBind),
    replace(kvmRestrictedmemUnbind, upmKvmUnbind),
    replace(kvmRestrictedMemGetPfn, upmKvmGetPfn),
    replace(backingMapping, upmBackingMapping),
  ],
})
