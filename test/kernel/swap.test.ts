/** Anonymous memory that goes to swap and comes back, and what else can happen to it there. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { knownNames } from '../../src/app/known.js'
import { defineDesign } from '../../src/designs/design.js'
import { gmem618 } from '../../src/designs/gmem.js'
import { upm } from '../../src/designs/upm.js'
import { doExit } from '../../src/kernel/exit.js'
import { EBUSY, EHWPOISON, EINVAL } from '../../src/kernel/include/errno.js'
import type { AddressSpace } from '../../src/kernel/include/fs.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import { currentMm } from '../../src/kernel/include/mm_types.js'
import { SWAP_HAS_CACHE, swapInfo } from '../../src/kernel/include/swap.js'
import {
  MADV_DONTNEED,
  MADV_FREE,
  MADV_HWPOISON,
  MADV_PAGEOUT,
  MADV_SOFT_OFFLINE,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  SIGBUS_MCEERR_AR,
  SIGSEGV_ACCERR,
  TMPFS_MAGIC,
} from '../../src/kernel/include/uapi.js'
import { compact } from '../../src/kernel/mm/compaction.js'
import { memoryFailure } from '../../src/kernel/mm/memory_failure.js'
import { PTE_PRESENT, PTE_SWAP, pteAt, pteFolio } from '../../src/kernel/mm/pgtable.js'
import { shmemMapping } from '../../src/kernel/mm/shmem.js'
import { sysSwapon } from '../../src/kernel/mm/swapon.js'
import { readScenario } from '../../src/litmus/scenario.js'
import { LimitError } from '../../src/machine/fault.js'
import { fn, replace } from '../../src/machine/fn.js'
import { userLoadAt, userStoreAt } from '../../src/user/access.js'
import {
  userMadvise,
  userMincore,
  userMlock,
  userMmap,
  userMprotect,
  userMunmap,
} from '../../src/user/memory.js'
import { PAGE, pinPage, User, unpinPage } from './user.js'

describe('a predicate that asks the host of a mapping', () => {
  const askHost = fn(function shmem_mapping(mapping: AddressSpace): boolean {
    return mapping.host!.iSb!.sMagic === TMPFS_MAGIC
  })
  const name = 'reclaim/mincore-of-swapped-memory'
  const found = builtInScenarios().find((f) => f.scenario.name === name)
  const scenario = { ...found!.scenario, expect: [] }
  for (const [profile, where] of [
    ['6.2', 'filemap_get_incore_folio'],
    ['6.18', 'pageout'],
  ] as const) {
    test(`faults on ${profile} in ${where}`, () => {
      const design = { id: 'asks-host', summary: 'as the patch', profile, cite: ['seeded'] }
      const patched = defineDesign({ ...design, replaces: [replace(shmemMapping, askHost)] })
      const effort = { bound: undefined, asMet: true, keepGoing: () => true, now: () => 0 }
      const { findings } = checkScenario(scenario, patched, effort)
      assert.deepEqual(
        findings.filter((f) => f.first).map((f) => [f.id, f.function]),
        [['null-dereference', where]],
      )
    })
  }
})

const GIVEN_UP = `litmus test/given-up
"Does a guest lose what it stores to memory that its process has given up?"

setup
  vm = kvm_create_vm(DEFAULT)
  at = mmap(-1, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, 1P)
  slot_over(vm, slot=0, gpa=0, size=1P, address=at) == 0
  guest_write(vm, gpa=0, 1) == 0
  drain_lru()
  madvise(at, 1P, MADV_FREE) == 0

task vcpu0
  b = guest_read(vm, gpa=0)
  guest_write(vm, gpa=0, 2) == 0
  r = guest_read(vm, gpa=0)

task vmm
  madvise(at, 1P, MADV_PAGEOUT) == 0

always vcpu0:r == 2
sometimes vcpu0:b == 0
sometimes vcpu0:b == 1
`

describe('what a guest stores to memory that was given up stays, whenever reclaim comes', () => {
  for (const design of [upm, gmem618]) {
    test(design.id, () => {
      const scenario = readScenario(GIVEN_UP, knownNames())
      const { verdict, proof } = checkScenario(scenario, design, {
        keepGoing: () => true,
        now: () => 0,
      })
      assert.deepEqual([verdict, proof], ['clean', 'exhaustive'])
    })
  }
})

for (const profile of ['6.2', '6.18'] as const) {
  describe(`swap on ${profile}`, () => {
    let user: User
    let at = 0
    beforeEach(() => {
      user = new User(profile)
      at = user.call(
        userMmap,
        -1,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS,
        8192n,
        0n,
        0,
      )
    })

    /** An area of so many slots. */
    const swapon = (slots: number): number => user.call(sysSwapon, BigInt((slots + 1) * PAGE))
    const load = (page: number): number => user.call(userLoadAt, at, BigInt(page * PAGE))
    const store = (page: number, byte: number): number =>
      user.call(userStoreAt, at, BigInt(page * PAGE), byte)
    const advise = (page: number, advice: number, pages = 1): number =>
      user.call(userMadvise, at + page * PAGE, BigInt(pages * PAGE), advice, 0n)
    const pageout = (page: number, pages = 1): number => advise(page, MADV_PAGEOUT, pages)
    const resident = (page: number): number => user.call(userMincore, at, BigInt(page * PAGE))
    const pte = (page: number): number => pteAt(currentMm(), BigInt(at + page * PAGE))
    const folio = (page: number): Folio => {
      assert.ok(pte(page) & PTE_PRESENT)
      return pteFolio(pte(page))
    }
    const slots = (): number[] => [1, 2, 3].map((slot) => swapInfo().swapMap.get(slot))

    /** Nothing of swap is in use: no slot, no page in the cache, no shadow. */
    function nothingLeft(): void {
      const { space } = swapInfo()
      assert.deepEqual([...slots(), space.nrpages, space.iPages.xaHead], [0, 0, 0, 0, 0])
    }

    test('pages go out, are not in memory then, and come back as they were', () => {
      assert.equal(swapon(3), 0)
      store(0, 5)
      store(1, 6)
      const first = folio(0)
      assert.equal(pageout(0, 2), 0)
      assert.deepEqual([pte(0) & PTE_SWAP, first.buddy, slots()], [PTE_SWAP, true, [1, 1, 0]])
      assert.deepEqual([resident(0), resident(1), swapInfo().space.nrpages], [0, 0, 0])
      assert.deepEqual([load(0), load(1), resident(0), resident(1)], [5, 6, 1, 1])
      assert.equal(store(0, 7), 0)
      assert.deepEqual([load(0), load(1)], [7, 6])
      nothingLeft()
      user.call(doExit)
    })

    test('without swapon(), or without a free slot, a page stays, active', () => {
      store(0, 5)
      store(1, 6)
      assert.equal(pageout(0, 2), 0)
      assert.deepEqual([folio(0).active, folio(1).active, resident(0)], [true, true, 1])
      assert.equal(swapon(1), 0)
      user.call(compact)
      assert.equal(pageout(0, 2), 0)
      assert.deepEqual([resident(0), resident(1), slots()], [0, 1, [1, 0, 0]])
    })

    test('swapon() wants a header and a slot, once', () => {
      assert.equal(swapon(0), -EINVAL)
      assert.deepEqual([swapon(64), swapon(1)], [0, -EBUSY])
    })

    test('a larger area than the model holds is a limit of ours, not an error', () => {
      assert.throws(() => swapon(65), LimitError)
    })

    describe('what was given up with MADV_FREE', () => {
      const giveUp = (): number => advise(0, MADV_FREE)

      test('is there until reclaim drops it, which needs no slot', () => {
        store(0, 5)
        const first = folio(0)
        assert.deepEqual([giveUp(), load(0), first.swapbacked], [0, 5, false])
        assert.equal(pageout(0, 1), 0)
        assert.deepEqual([first.buddy, load(0)], [true, 0])
      })
      test('is kept by who stores to it before', () => {
        assert.equal(swapon(3), 0)
        store(0, 5)
        giveUp()
        store(0, 6)
        const first = folio(0)
        assert.equal(pageout(0, 1), 0)
        assert.deepEqual([folio(0) === first, first.swapbacked, load(0)], [true, true, 6])
        user.call(compact)
        assert.equal(pageout(0, 1), 0)
        assert.deepEqual([pte(0) & PTE_SWAP, load(0)], [PTE_SWAP, 6])
      })
      test('stays while somebody refers to it, and is given up still only on 6.18', () => {
        store(0, 5)
        giveUp()
        user.call(pinPage, at)
        assert.equal(pageout(0, 1), 0)
        assert.deepEqual([load(0), folio(0).swapbacked], [5, profile === '6.2'])
        user.call(unpinPage)
        user.call(compact)
        assert.equal(pageout(0, 1), 0)
        assert.equal(load(0), profile === '6.2' ? 5 : 0)
      })
      test('moves as what it is', () => {
        store(0, 5)
        giveUp()
        user.call(compact)
        assert.deepEqual([load(0), folio(0).swapbacked], [5, false])
      })
      test('is gone at once where it is swapped out', () => {
        assert.equal(swapon(3), 0)
        store(0, 5)
        assert.equal(pageout(0, 1), 0)
        assert.deepEqual([giveUp(), slots(), load(0)], [0, [0, 0, 0], 0])
        nothingLeft()
      })
    })

    test('what unmaps a page frees its slot', () => {
      swapon(3)
      store(0, 5)
      store(1, 6)
      pageout(0, 2)
      assert.equal(advise(0, MADV_DONTNEED), 0)
      assert.deepEqual([load(0), slots()], [0, [0, 1, 0]])
      assert.equal(user.call(userMunmap, at, 8192n, 0n), 0)
      nothingLeft()
    })

    test('a page that somebody refers to stays in the swap cache, where a fault finds it', () => {
      swapon(3)
      store(0, 5)
      user.call(pinPage, at)
      const pinned = folio(0)
      pageout(0)
      assert.deepEqual([pte(0) & PTE_SWAP, slots()], [PTE_SWAP, [1 | SWAP_HAS_CACHE, 0, 0]])
      assert.deepEqual([pinned.swap, pinned.dirty, resident(0)], [1, true, 1])
      assert.deepEqual([load(0), folio(0) === pinned, slots()], [5, true, [SWAP_HAS_CACHE, 0, 0]])
      user.call(unpinPage)
      pageout(0)
      assert.deepEqual([pinned.buddy, slots(), load(0)], [true, [1, 0, 0], 5])
      nothingLeft()
    })

    test('a page of the swap cache whose last entry is zapped leaves it', () => {
      for (const mapped of [true, false]) {
        swapon(3)
        store(0, 5)
        user.call(pinPage, at)
        pageout(0)
        if (mapped) load(0)
        user.call(userMadvise, at, 4096n, MADV_DONTNEED, 0n)
        nothingLeft()
        user.call(unpinPage)
      }
      user.call(doExit)
    })

    test('a page that is written or locked gives up its slot', () => {
      swapon(3)
      for (const touch of [() => store(0, 6), () => user.call(userMlock, at, 4096n, 0n)]) {
        store(0, 5)
        user.call(pinPage, at)
        pageout(0)
        user.call(unpinPage)
        touch()
        nothingLeft()
      }
    })

    test('a page of the swap cache is migrated with its slot', () => {
      swapon(3)
      store(0, 5)
      user.call(pinPage, at)
      pageout(0)
      load(0)
      user.call(unpinPage)
      const old = folio(0)
      assert.equal(advise(0, MADV_SOFT_OFFLINE), 0)
      assert.notEqual(folio(0), old)
      assert.deepEqual([folio(0).swap, old.swap, slots()], [1, 0, [SWAP_HAS_CACHE, 0, 0]])
      assert.equal(load(0), 5)
      pageout(0)
      assert.deepEqual([resident(0), load(0)], [0, 5])
      nothingLeft()
    })

    test('poison of a dirty page of the swap cache is found by the next fault', () => {
      swapon(3)
      store(0, 5)
      user.call(pinPage, at)
      pageout(0)
      load(0)
      const { pfn } = folio(0)
      user.call(unpinPage)
      assert.equal(advise(0, MADV_HWPOISON), 0)
      assert.equal(pte(0) & PTE_SWAP, PTE_SWAP, 'not a hwpoison entry')
      assert.equal(load(0), SIGBUS_MCEERR_AR)
      assert.equal(user.call(memoryFailure, pfn, 0), -EHWPOISON)
      user.call(userMunmap, at, 8192n, 0n)
      nothingLeft()
    })

    test('mprotect() leaves what is swapped out alone', () => {
      swapon(3)
      store(0, 5)
      pageout(0)
      const before = pte(0)
      assert.equal(user.call(userMprotect, at, 4096n, 0, 0n), 0)
      assert.deepEqual([pte(0), load(0)], [before, SIGSEGV_ACCERR])
      assert.equal(user.call(userMprotect, at, 4096n, PROT_READ, 0n), 0)
      assert.deepEqual([load(0), store(0, 1)], [5, SIGSEGV_ACCERR])
      nothingLeft()
    })
  })
}
