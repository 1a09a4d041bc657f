/**
 * The tables of pKVM's hypervisor. All rows are of class I: a hypervisor is what it does. None is
 * open: each was read in 7.0 and 7.1.8 (arch/arm64/kvm/hyp/nvhe/mem_protect.c, pkvm.c), whose own
 * selftest (mem_protect.c pkvm_ownership_selftest of 7.1) is here call for call.
 */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { bootKernel } from '../../src/cell/boot.js'
import { designNamed } from '../../src/hosts/index.js'
import * as guestCalls from '../../src/hosts/pkvm/guest-calls.js'
import * as hostCalls from '../../src/hosts/pkvm/host-calls.js'
import * as ownership from '../../src/hosts/pkvm/ownership.js'
import {
  EAGAIN,
  EBUSY,
  EHWPOISON,
  EINVAL,
  ENOENT,
  ENOMEM,
  EPERM,
} from '../../src/kernel/include/errno.js'
import type { Gfn, Pfn } from '../../src/kernel/include/types.js'
import { allocFolio, pfnToFolio } from '../../src/kernel/mm/page_alloc.js'
import { type Blob, byteAt, withBytes, ZERO_PAGE } from '../../src/machine/blob.js'
import { KernelFault } from '../../src/machine/fault.js'
import { constructAt, type Obj, type Struct } from '../../src/machine/struct.js'
import { notModelled, table } from './table.js'

const g = (n: number): Gfn => n as Gfn
const P = -EPERM
const VCPU = 0

let page: Pfn
const guest = (handle: number): ownership.PkvmVm => ownership.vmOfHandle(handle) as ownership.PkvmVm
/** Two guests: one that is protected, and one that is not. */
const NP = 1
const PVM = 2

/** A machine with two guests, whose vCPUs have room for a table. */
function boot(host = 'pkvm-7.1'): void {
  bootKernel(designNamed(`gmem-6.18@${host}`)!, 'lowered')
  page = allocFolio(false).pfn
  for (const handle of [NP, PVM]) {
    const at = ownership.PkvmVm.base + (handle - 1) * ownership.PkvmVm.words
    constructAt(ownership.PkvmVm as unknown as Struct<Obj>, at, 0)
    const vm = ownership.PkvmVm.at(at) as ownership.PkvmVm
    vm.created = true
    vm.protected = handle === PVM
    vm.memcache.set(VCPU, 1)
    for (let i = 0; i < vm.state.length; i++) vm.state.set(i, ownership.NOPAGE)
  }
}

/** What each has of the page: host, hypervisor, the guest at gfn 0. */
type Tuple = readonly [host: string, hyp: string, guest: string]

const NAMES = ['O', 'SO', 'SB', 'N', 'POISON']

function tuple(handle: number): Tuple {
  const { host, hyp } = ownership.pkvmPage(page)
  const of = guest(handle).state.get(0)
  return [NAMES[host]!, NAMES[hyp]!, NAMES[of]!]
}

const ok = (code: number): void => assert.equal(code, 0)
const share = (gfn = 0): number => guestCalls.hostShareGuest(guest(NP), VCPU, g(gfn), page)
const donate = (gfn = 0): number => guestCalls.hostDonateGuest(guest(PVM), VCPU, g(gfn), page)

/** Rows of the table, each brought about as software would. */
const ROWS: Readonly<Record<string, () => void>> = {
  "the hypervisor's": () => ok(hostCalls.hostDonateHyp(page)),
  free: () => {},
  'shared with the hypervisor': () => ok(hostCalls.hostShareHyp(page)),
  'shared with the secure world': () => ok(hostCalls.hostShareFfa(page)),
  'shared with a guest': () => ok(share()),
  "a guest's": () => ok(donate()),
  "a guest's, shared with the host": () => {
    ok(donate())
    ok(guestCalls.guestShareHost(guest(PVM), g(0)))
  },
  'taken by force': () => {
    ok(donate())
    ok(guestCalls.hostForceReclaimPageGuest(page))
  },
}

const OPS: Readonly<Record<string, () => number>> = {
  share_hyp: () => hostCalls.hostShareHyp(page),
  unshare_hyp: () => hostCalls.hostUnshareHyp(page),
  donate_hyp: () => hostCalls.hostDonateHyp(page),
  hyp_donate_host: () => hostCalls.hypDonateHost(page),
  share_ffa: () => hostCalls.hostShareFfa(page),
  unshare_ffa: () => hostCalls.hostUnshareFfa(page),
  pin: () => hostCalls.hypPinSharedMem(page),
  share_guest: () => share(),
  'share_guest at another gfn': () => share(1),
  unshare_guest: () => guestCalls.hostUnshareGuest(guest(NP), g(0)),
  donate_guest: () => donate(),
  'donate_guest at another gfn': () => donate(1),
  guest_share_host: () => guestCalls.guestShareHost(guest(PVM), g(0)),
  guest_unshare_host: () => guestCalls.guestUnshareHost(guest(PVM), g(0)),
  force_reclaim: () => guestCalls.hostForceReclaimPageGuest(page),
}

const NO = -ENOENT
const AGAIN = -EAGAIN
const POISON = -EHWPOISON

/** By row, in the order of OPS: the answer. */
const TABLE: Readonly<Record<string, readonly number[]>> = {
  "the hypervisor's": [P, P, P, 0, P, P, P, P, P, NO, P, P, NO, NO, P],
  free: [0, P, 0, P, 0, P, P, 0, 0, NO, 0, 0, NO, NO, AGAIN],
  'shared with the hypervisor': [P, 0, P, P, P, 0, 0, P, P, NO, P, P, NO, NO, AGAIN],
  'shared with the secure world': [P, P, P, P, P, 0, P, P, P, NO, P, P, NO, NO, AGAIN],
  'shared with a guest': [P, P, P, P, P, 0, P, P, 0, 0, P, P, NO, NO, AGAIN],
  "a guest's": [P, P, P, P, P, P, P, P, P, NO, P, P, 0, P, 0],
  "a guest's, shared with the host": [P, P, P, P, P, P, P, P, P, NO, P, P, P, 0, AGAIN],
  'taken by force': [0, P, 0, P, 0, P, P, 0, 0, NO, P, 0, POISON, POISON, AGAIN],
}

describe('5.1: what is answered to whom, in each state', () => {
  for (const [row, make] of Object.entries(ROWS)) {
    test(row, () => {
      Object.entries(OPS).forEach(([op, run], i) => {
        boot()
        make()
        for (const handle of [NP, PVM]) guest(handle).memcache.set(VCPU, 1)
        assert.equal(run(), TABLE[row]![i], op)
      })
    })
  }
})

const MP = '7.1 mem_protect.c'
const PAGES = 'a call is about one page of memory here'
table('5.1: what is checked before the state', () => boot(), [
  notModelled('a range that crosses a memory region: -EINVAL', 'I', MP, PAGES),
  notModelled('no memory, or none that is mapped: -EPERM', 'I', MP, 'a frame is memory here'),
  notModelled('share_guest: a size that is neither page nor block: -EINVAL', 'I', MP, PAGES),
  notModelled(
    'share_guest: rights beyond reading, writing, executing: -EINVAL',
    'I',
    MP,
    'no rights',
  ),
  notModelled('unshare_guest, share_host: a leaf of another size: -E2BIG', 'I', MP, PAGES),
  notModelled(
    'relax, wrprotect and young of a protected VM: -EPERM',
    'I',
    MP,
    'the kernel here issues none of them',
  ),
  notModelled(
    'force_reclaim of what no guest is said to have: -EINVAL',
    'I',
    MP,
    'entries are typed',
  ),
])

/** One VM for all, as in the selftest of 7.1; what it says behind each call. */
type Step = readonly [code: number, call: () => number, host: string, hyp: string, guests: string]

describe("7.1's own selftest of the ownership", () => {
  const at = (): ownership.PkvmVm => guest(PVM)
  const shareAt = (n: number) => (): number => guestCalls.hostShareGuest(at(), VCPU, g(n), page)
  const unshareAt = (n: number) => (): number => guestCalls.hostUnshareGuest(at(), g(n))
  const donateAt = (n: number) => (): number => donate(n)
  const { share_hyp, unshare_hyp, donate_hyp, hyp_donate_host } = OPS as Record<
    string,
    () => number
  >
  const { share_ffa, unshare_ffa, pin, force_reclaim } = OPS as Record<string, () => number>
  const guestShare = (): number => guestCalls.guestShareHost(at(), g(0))
  const guestUnshare = (): number => guestCalls.guestUnshareHost(at(), g(0))
  const reclaim = (): number => {
    // The selftest calls what is behind the test for a dying VM.
    at().dying = true
    const code = guestCalls.hostReclaimPageGuest(at(), g(1))
    at().dying = false
    return code
  }
  const unpin = (): number => {
    hostCalls.hypUnpinSharedMem(page)
    return 0
  }
  const refused = (calls: readonly (() => number)[], ...state: readonly string[]): Step[] =>
    calls.map((call) => [P, call, state[0]!, state[1]!, state[2]!])
  const notTheHosts = [share_ffa!, donate_hyp!, share_hyp!, unshare_hyp!, hyp_donate_host!]
  const anywhere = [donateAt(0), donateAt(1), shareAt(0), shareAt(1)]

  const STEPS: readonly Step[] = [
    [0, donate_hyp!, 'N', 'O', 'N N'],
    ...refused([donate_hyp!, share_hyp!, unshare_hyp!, share_ffa!], 'N', 'O', 'N N'),
    ...refused([unshare_ffa!, pin!, shareAt(0), donateAt(0)], 'N', 'O', 'N N'),
    [NO, unshareAt(0), 'N', 'O', 'N N'],
    [0, hyp_donate_host!, 'O', 'N', 'N N'],
    ...refused([hyp_donate_host!, unshare_hyp!, unshare_ffa!, pin!], 'O', 'N', 'N N'),
    [NO, unshareAt(0), 'O', 'N', 'N N'],
    [0, share_hyp!, 'SO', 'SB', 'N N'],
    ...refused([share_hyp!, donate_hyp!, share_ffa!, hyp_donate_host!], 'SO', 'SB', 'N N'),
    ...refused([shareAt(0), donateAt(0)], 'SO', 'SB', 'N N'),
    [NO, unshareAt(0), 'SO', 'SB', 'N N'],
    [0, pin!, 'SO', 'SB', 'N N'],
    [0, pin!, 'SO', 'SB', 'N N'],
    [0, unpin, 'SO', 'SB', 'N N'],
    [-EBUSY, unshare_hyp!, 'SO', 'SB', 'N N'],
    [0, unpin, 'SO', 'SB', 'N N'],
    [0, unshare_hyp!, 'O', 'N', 'N N'],
    [0, share_ffa!, 'SO', 'N', 'N N'],
    ...refused([...notTheHosts, shareAt(0), donateAt(0), pin!], 'SO', 'N', 'N N'),
    [NO, unshareAt(0), 'SO', 'N', 'N N'],
    [0, unshare_ffa!, 'O', 'N', 'N N'],
    [P, unshare_ffa!, 'O', 'N', 'N N'],
    [0, shareAt(0), 'SO', 'N', 'SB N'],
    ...refused([shareAt(0), ...notTheHosts, donateAt(0), pin!], 'SO', 'N', 'SB N'),
    [0, shareAt(1), 'SO', 'N', 'SB SB'],
    [0, unshareAt(0), 'SO', 'N', 'N SB'],
    [0, unshareAt(1), 'O', 'N', 'N N'],
    [0, donateAt(0), 'N', 'N', 'O N'],
    ...refused([...anywhere, ...notTheHosts], 'N', 'N', 'O N'),
    [0, guestShare, 'SB', 'N', 'SO N'],
    ...refused([guestShare, ...anywhere, ...notTheHosts], 'SB', 'N', 'SO N'),
    [0, guestUnshare, 'N', 'N', 'O N'],
    ...refused([guestUnshare, ...anywhere, ...notTheHosts], 'N', 'N', 'O N'),
    [0, force_reclaim!, 'O', 'N', 'POISON N'],
    ...refused([donateAt(0), shareAt(0)], 'O', 'N', 'POISON N'),
    [POISON, guestShare, 'O', 'N', 'POISON N'],
    [POISON, guestUnshare, 'O', 'N', 'POISON N'],
    [0, donateAt(1), 'N', 'N', 'POISON O'],
    [0, reclaim, 'O', 'N', 'POISON N'],
    ...refused([donateAt(0), shareAt(0)], 'O', 'N', 'POISON N'),
    [0, donate_hyp!, 'N', 'O', 'POISON N'],
  ]

  test('each call answers as there, and changes only what it should', () => {
    boot()
    STEPS.forEach(([code, call, host, hyp, guests], i) => {
      at().memcache.set(VCPU, 1)
      assert.equal(call(), code, `step ${i}`)
      const page0 = ownership.pkvmPage(page)
      const entries = [0, 1].map((n) => NAMES[at().state.get(n)]).join(' ')
      const now = [NAMES[page0.host], NAMES[page0.hyp], entries]
      assert.deepEqual(now, [host, hyp, guests], `step ${i}`)
    })
  })
})

describe('5.1: counts, pins and room', () => {
  beforeEach(() => boot())
  test('each guest that borrows counts, and the last one gives the page back', () => {
    ok(share())
    guest(NP).memcache.set(VCPU, 1)
    ok(share(1))
    assert.equal(ownership.pkvmPage(page).shareCount, 2)
    ok(guestCalls.hostUnshareGuest(guest(NP), g(1)))
    assert.deepEqual(tuple(NP), ['SO', 'N', 'SB'])
    ok(guestCalls.hostUnshareGuest(guest(NP), g(0)))
    assert.deepEqual(tuple(NP), ['O', 'N', 'N'])
  })
  test('a page that counts as often as it can is -EBUSY', () => {
    ok(share())
    ownership.pkvmPage(page).shareCount = guestCalls.MOST_SHARES
    assert.equal(share(1), -EBUSY)
  })
  test('a count of 0 behind an entry that borrows is a WARN at EL2, and that stops the machine', () => {
    ok(share())
    ownership.pkvmPage(page).shareCount = 0
    assert.throws(
      () => guestCalls.hostUnshareGuest(guest(NP), g(0)),
      (e: unknown) => e instanceof KernelFault && e.id === 'hypervisor-panic',
    )
  })
  test('whom a page is shared with is not asked when the secure world gives it back', () => {
    ok(hostCalls.hostShareHyp(page))
    ok(hostCalls.hostUnshareFfa(page))
    // No state that there is: the sanitizer calls it ownership-conflict.
    assert.deepEqual(tuple(NP), ['O', 'SB', 'N'])
  })
  test('room for tables is looked at last: -ENOMEM, and nothing has changed', () => {
    for (const handle of [NP, PVM]) guest(handle).memcache.set(VCPU, 0)
    assert.equal(donate(), -ENOMEM)
    assert.equal(share(), -ENOMEM)
    assert.deepEqual(tuple(PVM), ['O', 'N', 'N'])
    ok(hostCalls.hostShareHyp(page))
    assert.equal(donate(), P)
    assert.equal(share(), P)
  })
  test('up to 7.0 nobody looks, and the host may stop the machine by that', () => {
    boot('pkvm-7.0')
    guest(NP).memcache.set(VCPU, 0)
    assert.throws(
      () => share(),
      (e: unknown) => e instanceof KernelFault && e.id === 'hypervisor-panic',
    )
  })
  test('the first entry takes a page for the table, and further ones none', () => {
    ok(donate())
    assert.equal(guest(PVM).memcache.get(VCPU), 0)
    guest(PVM).memcache.set(VCPU, 1)
    page = allocFolio(false).pfn
    ok(donate(1))
    assert.equal(guest(PVM).memcache.get(VCPU), 1)
  })
})

test('where memory is drawn, it says whose each page is', () => {
  const owners = Object.values(ROWS).map((make) => {
    boot()
    make()
    return ownership.ownerOf(page)
  })
  assert.deepEqual(owners, [
    'hyp',
    'host',
    'host, shared with hyp',
    'host, shared',
    'host, shared with guests (1)',
    'guest 2 gfn 0',
    'guest 2 gfn 0, shared with the host',
    'host',
  ])
})

describe('5.1: what a protected guest has goes back (7.1)', () => {
  beforeEach(() => boot())
  const fill = (): void => {
    pfnToFolio(page)!.data = withBytes(ZERO_PAGE, 0, 1, 0x5a)
  }
  const first = (): number => byteAt(pfnToFolio(page)!.data as Blob, 0)
  const reclaim = (): number => guestCalls.hostReclaimPageGuest(guest(PVM), g(0))

  test('the host reclaims of a VM that is taken down alone, and gets zeroes', () => {
    ok(donate())
    fill()
    assert.equal(reclaim(), -EINVAL)
    guest(PVM).dying = true
    ok(reclaim())
    assert.deepEqual([tuple(PVM), first()], [['O', 'N', 'N'], 0])
    assert.equal(reclaim(), -ENOENT)
  })
  test('a page that the host could read comes back as it is', () => {
    ok(donate())
    fill()
    ok(guestCalls.guestShareHost(guest(PVM), g(0)))
    guest(PVM).dying = true
    ok(reclaim())
    assert.deepEqual([tuple(PVM), first()], [['O', 'N', 'N'], 0x5a])
  })
  test('one that a guest borrows does not: -EPERM', () => {
    ok(share())
    guest(NP).dying = true
    assert.equal(guestCalls.hostReclaimPageGuest(guest(NP), g(0)), P)
  })
  test('by force: zeroes for the host, poison for the guest, which stays behind a reclaim', () => {
    ok(donate())
    fill()
    ok(guestCalls.hostForceReclaimPageGuest(page))
    assert.deepEqual([tuple(PVM), first()], [['O', 'N', 'POISON'], 0])
    assert.equal(guestCalls.vcpuInPoisonFault(guest(PVM), g(0)), true)
    guest(PVM).dying = true
    ok(reclaim())
    assert.deepEqual(tuple(PVM), ['O', 'N', 'POISON'])
  })
  test('by force, from a VM whose handle is free: -EAGAIN', () => {
    ok(donate())
    guest(PVM).created = false
    assert.equal(guestCalls.hostForceReclaimPageGuest(page), -EAGAIN)
  })
  test('Android, from notes: what the guest relinquishes is zeroed and gone', () => {
    ok(donate())
    fill()
    ok(guestCalls.guestRelinquish(guest(PVM), g(0)))
    assert.deepEqual([tuple(PVM), first()], [['O', 'N', 'N'], 0])
    assert.equal(guestCalls.guestRelinquish(guest(PVM), g(0)), -ENOENT)
  })
})
