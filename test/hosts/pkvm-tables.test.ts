/**
 * The tables of pKVM's hypervisor, row by row. All are of class I: a hypervisor is what it does. The
 * first is that of the ownership selftest in Linux 6.16; that of protected guests is of 7.1, by notes.
 */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { bootKernel } from '../../src/cell/boot.js'
import { designNamed } from '../../src/hosts/index.js'
import * as pkvm from '../../src/hosts/pkvm/ownership.js'
import { EAGAIN, EBUSY, EHWPOISON, ENOENT, ENOMEM, EPERM } from '../../src/kernel/include/errno.js'
import type { Gfn, Pfn } from '../../src/kernel/include/types.js'
import { allocFolio, pfnToFolio } from '../../src/kernel/mm/page_alloc.js'
import { type Blob, byteAt, withBytes, ZERO_PAGE } from '../../src/machine/blob.js'
import { constructAt, type Obj, type Struct } from '../../src/machine/struct.js'

const design = designNamed('gmem-6.18@pkvm-7.1')!
const g = (n: number): Gfn => n as Gfn
const P = -EPERM

let page: Pfn
/** Two guests: one that is protected, and one that is not. */
const guest = (handle: number): pkvm.PkvmVm => pkvm.vmOfHandle(handle) as pkvm.PkvmVm
const NP = 1
const PVM = 2

function boot(): void {
  bootKernel(design, 'lowered')
  page = allocFolio(false).pfn
  for (const handle of [NP, PVM]) {
    const at = pkvm.PkvmVm.base + (handle - 1) * pkvm.PkvmVm.words
    constructAt(pkvm.PkvmVm as unknown as Struct<Obj>, at, 0)
    const vm = guest(handle)
    vm.protected = handle === PVM
    vm.memcache = 1
    for (let i = 0; i < vm.state.length; i++) vm.state.set(i, pkvm.NOPAGE)
  }
}

/** What each has of the page: host, hypervisor, the guest that has anything at gfn 0. */
type Tuple = readonly [host: string, hyp: string, guest: string]

const NAMES = ['O', 'SO', 'SB', 'N', 'POISON']

function tuple(handle: number): Tuple {
  const { host, hyp } = pkvm.pkvmPage(page)
  const of = guest(handle).state.get(0)
  return [NAMES[host]!, NAMES[hyp]!, NAMES[of]!]
}

const ok = (code: number): void => assert.equal(code, 0)

/** Rows of the table, each brought about as software would. */
const ROWS: Readonly<Record<string, () => void>> = {
  "the hypervisor's": () => ok(pkvm.hostDonateHyp(page)),
  free: () => {},
  'shared with the hypervisor': () => ok(pkvm.hostShareHyp(page)),
  'shared with the secure world': () => ok(pkvm.hostShareFfa(page)),
  'shared with a guest': () => ok(pkvm.hostShareGuest(guest(NP), g(0), page)),
  "a guest's": () => ok(pkvm.hostDonateGuest(guest(PVM), PVM, g(0), page)),
}

const OPS: Readonly<Record<string, () => number>> = {
  share_hyp: () => pkvm.hostShareHyp(page),
  unshare_hyp: () => pkvm.hostUnshareHyp(page),
  donate_hyp: () => pkvm.hostDonateHyp(page),
  hyp_donate_host: () => pkvm.hypDonateHost(page),
  share_ffa: () => pkvm.hostShareFfa(page),
  unshare_ffa: () => pkvm.hostUnshareFfa(page),
  pin: () => pkvm.hypPinSharedMem(page),
  share_guest: () => pkvm.hostShareGuest(guest(NP), g(0), page),
  'share_guest at another gfn': () => pkvm.hostShareGuest(guest(NP), g(1), page),
  unshare_guest: () => pkvm.hostUnshareGuest(guest(NP), g(0)),
  donate_guest: () => {
    guest(PVM).memcache = 1
    return pkvm.hostDonateGuest(guest(PVM), PVM, g(0), page)
  },
}

/** By row, in the order of OPS: the answer. */
const TABLE: Readonly<Record<string, readonly number[]>> = {
  "the hypervisor's": [P, P, P, 0, P, P, P, P, P, -ENOENT, P],
  free: [0, P, 0, P, 0, P, P, 0, 0, -ENOENT, 0],
  'shared with the hypervisor': [P, 0, P, P, P, 0, 0, P, P, -ENOENT, P],
  'shared with the secure world': [P, P, P, P, P, 0, P, P, P, -ENOENT, P],
  'shared with a guest': [P, P, P, P, P, 0, P, P, 0, 0, P],
  "a guest's": [P, P, P, P, P, P, P, P, P, -ENOENT, P],
}

describe('5.1: what is answered to whom, in each state', () => {
  beforeEach(boot)
  for (const [row, make] of Object.entries(ROWS)) {
    test(row, () => {
      Object.entries(OPS).forEach(([op, run], i) => {
        boot()
        make()
        assert.equal(run(), TABLE[row]![i], op)
      })
    })
  }
})

describe('5.1: where the calls that succeed lead', () => {
  beforeEach(boot)
  test('share and unshare, donate and back', () => {
    ok(pkvm.hostShareHyp(page))
    assert.deepEqual(tuple(NP), ['SO', 'SB', 'N'])
    ok(pkvm.hostUnshareHyp(page))
    ok(pkvm.hostDonateHyp(page))
    assert.deepEqual(tuple(NP), ['N', 'O', 'N'])
    ok(pkvm.hypDonateHost(page))
    ok(pkvm.hostShareFfa(page))
    assert.deepEqual(tuple(NP), ['SO', 'N', 'N'])
    ok(pkvm.hostUnshareFfa(page))
    assert.deepEqual(tuple(NP), ['O', 'N', 'N'])
  })
  test('what the hypervisor has pinned stays shared: -EBUSY', () => {
    ok(pkvm.hostShareHyp(page))
    ok(pkvm.hypPinSharedMem(page))
    assert.equal(pkvm.hostUnshareHyp(page), -EBUSY)
    pkvm.hypUnpinSharedMem(page)
    ok(pkvm.hostUnshareHyp(page))
  })
  test('each guest that borrows counts, and the last one gives the page back', () => {
    ok(pkvm.hostShareGuest(guest(NP), g(0), page))
    ok(pkvm.hostShareGuest(guest(NP), g(1), page))
    assert.equal(pkvm.pkvmPage(page).shareCount, 2)
    ok(pkvm.hostUnshareGuest(guest(NP), g(1)))
    assert.deepEqual(tuple(NP), ['SO', 'N', 'SB'])
    ok(pkvm.hostUnshareGuest(guest(NP), g(0)))
    assert.deepEqual(tuple(NP), ['O', 'N', 'N'])
  })
  test('a page that counts as often as it can is -EBUSY', () => {
    ok(pkvm.hostShareGuest(guest(NP), g(0), page))
    pkvm.pkvmPage(page).shareCount = pkvm.MOST_SHARES
    assert.equal(pkvm.hostShareGuest(guest(NP), g(1), page), -EBUSY)
  })
  test('whom a page is shared with is not asked when the secure world gives it back', () => {
    ok(pkvm.hostShareHyp(page))
    ok(pkvm.hostUnshareFfa(page))
    // No state that there is: the sanitizer calls it ownership-conflict.
    assert.deepEqual(tuple(NP), ['O', 'SB', 'N'])
  })
})

describe('5.1: protected guests (7.1, notes)', () => {
  beforeEach(boot)
  const donate = (): void => ok(pkvm.hostDonateGuest(guest(PVM), PVM, g(0), page))
  const fill = (): void => {
    pfnToFolio(page)!.data = withBytes(ZERO_PAGE, 0, 1, 0x5a)
  }
  const first = (): number => byteAt(pfnToFolio(page)!.data as Blob, 0)

  test('without room for its tables nothing has changed: -ENOMEM comes before -EPERM', () => {
    guest(PVM).memcache = 0
    assert.equal(pkvm.hostDonateGuest(guest(PVM), PVM, g(0), page), -ENOMEM)
    ok(pkvm.hostShareHyp(page))
    assert.equal(pkvm.hostDonateGuest(guest(PVM), PVM, g(0), page), -ENOMEM)
  })
  test('the guest lets the host at its page, and stops that', () => {
    donate()
    assert.deepEqual(tuple(PVM), ['N', 'N', 'O'])
    assert.equal(pkvm.guestUnshareHost(guest(PVM), g(0)), P)
    ok(pkvm.guestShareHost(guest(PVM), g(0)))
    assert.deepEqual(tuple(PVM), ['SB', 'N', 'SO'])
    assert.equal(pkvm.guestShareHost(guest(PVM), g(0)), P)
    ok(pkvm.guestUnshareHost(guest(PVM), g(0)))
    assert.equal(pkvm.guestShareHost(guest(PVM), g(1)), -ENOENT)
  })
  test('the host reclaims of a VM that is taken down alone, and gets zeroes', () => {
    donate()
    fill()
    assert.equal(pkvm.hostReclaimPageGuest(guest(PVM), g(0)), P)
    guest(PVM).dying = true
    ok(pkvm.hostReclaimPageGuest(guest(PVM), g(0)))
    assert.deepEqual([tuple(PVM), first()], [['O', 'N', 'N'], 0])
  })
  test('a page that the guest shares is reclaimed as well, one that it borrows is not', () => {
    donate()
    ok(pkvm.guestShareHost(guest(PVM), g(0)))
    guest(PVM).dying = true
    ok(pkvm.hostReclaimPageGuest(guest(PVM), g(0)))
    ok(pkvm.hostShareGuest(guest(NP), g(0), page))
    guest(NP).dying = true
    assert.equal(pkvm.hostReclaimPageGuest(guest(NP), g(0)), P)
  })
  test('by force: zeroes for the host, poison for the guest', () => {
    donate()
    fill()
    ok(pkvm.hostForceReclaimPageGuest(page))
    assert.deepEqual([tuple(PVM), first()], [['O', 'N', 'POISON'], 0])
    assert.equal(pkvm.guestShareHost(guest(PVM), g(0)), -EHWPOISON)
  })
  test("by force, not: the host's own -EAGAIN, the hypervisor's and a shared one -EPERM", () => {
    assert.equal(pkvm.hostForceReclaimPageGuest(page), -EAGAIN)
    ok(pkvm.hostDonateHyp(page))
    assert.equal(pkvm.hostForceReclaimPageGuest(page), P)
    ok(pkvm.hypDonateHost(page))
    donate()
    ok(pkvm.guestShareHost(guest(PVM), g(0)))
    assert.equal(pkvm.hostForceReclaimPageGuest(page), -EAGAIN)
  })
  test('Android: what the guest relinquishes is zeroed and gone', () => {
    donate()
    fill()
    ok(pkvm.guestRelinquish(guest(PVM), g(0)))
    assert.deepEqual([tuple(PVM), first()], [['O', 'N', 'N'], 0])
    assert.equal(pkvm.guestRelinquish(guest(PVM), g(0)), -ENOENT)
  })
})
