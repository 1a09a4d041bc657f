/**
 * Page state changes of a guest with SNP: table 3.8, row by row, by calls of a guest and a VMM on a
 * kernel that has booted. Where versions differ, both are asked.
 */
import assert from 'node:assert/strict'
import { bootKernel } from '../../src/cell/boot.js'
import { type Design, defineDesign } from '../../src/designs/design.js'
import { gmem618 } from '../../src/designs/gmem.js'
import { onHost } from '../../src/hosts/host.js'
import { designNamed } from '../../src/hosts/index.js'
import { GHCB_ERR_INVALID_SCRATCH_AREA, ghcbOf, SHARED_BUFFER } from '../../src/hosts/snp/ghcb.js'
import { snp } from '../../src/hosts/snp/index.js'
import * as psc from '../../src/hosts/snp/psc.js'
import { pageState, REGION } from '../../src/hosts/snp/rmp.js'
import { sevInfo } from '../../src/hosts/snp/vm.js'
import { guestRead, guestWrite } from '../../src/kernel/arch/x86/kvm/guest.js'
import { sysFallocate } from '../../src/kernel/fs/open.js'
import { EFAULT, EIO, ENOMEM } from '../../src/kernel/include/errno.js'
import { Kvm, type KvmVcpu } from '../../src/kernel/include/kvm.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import type { Gfn, Pgoff } from '../../src/kernel/include/types.js'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  GUEST_MEMFD_FLAG_MMAP,
} from '../../src/kernel/include/uapi.js'
import { xaLoad } from '../../src/kernel/lib/xarray.js'
import { taskWorkRun } from '../../src/kernel/task_work.js'
import { sysKvmCreateGuestMemfd } from '../../src/kernel/virt/kvm/guest_memfd.js'
import {
  attrPrivate,
  sysKvmSetMemoryAttributes,
} from '../../src/kernel/virt/kvm/memory_attributes.js'
import { Alone } from '../../src/machine/alone.js'
import { setTraceListener } from '../../src/machine/fault.js'
import { type FnTag, fn, type Kernel, replace } from '../../src/machine/fn.js'
import { forEachAlive } from '../../src/machine/struct.js'
import {
  confidentialVm,
  guestAccept,
  guestConvert,
  guestConvertPages,
  guestPsc,
  launch,
} from '../../src/user/confidential.js'
import { fileMapping } from '../../src/user/harness.js'
import { bindSlot, privateMemory } from '../../src/user/vmm.js'
import { notModelled, type Row, row, table } from './table.js'

const K26 = 'KVM 6.17 and 7.1.8'
const GHCB = 'GHCB protocol'
const PAGE = 4096n
const PRIVATE = 8
/** The guest has so many pages; the last is its GHCB. */
const PAGES = 12
const GHCB_GPA = BigInt(PAGES - 1) * PAGE
const BUFFER = GHCB_GPA + BigInt(SHARED_BUFFER)

let alone: Alone
let vm = 0
let fd = 0

const call = (f: FnTag, ...args: readonly unknown[]): number => Number(alone.call(f, ...args))
const ok = (f: FnTag, ...args: readonly unknown[]): void => assert.equal(call(f, ...args), 0)

/** A guest whose memory is private, but for its GHCB. */
function bootOn(design: Design): void {
  bootKernel(design, 'lowered')
  alone = new Alone(taskWorkRun)
  vm = call(confidentialVm)
  fd = call(privateMemory, vm, BigInt(PAGES) * PAGE)
  ok(bindSlot, vm, 0, 0n, BigInt(PAGES) * PAGE, fd, 0n)
  ok(sysKvmSetMemoryAttributes, vm, 0n, BigInt(PAGES) * PAGE, BigInt(PRIVATE), 0n)
  ok(launch, vm)
  ok(guestAccept, vm, GHCB_GPA)
  ok(guestConvert, vm, GHCB_GPA, 0)
}

const kvm = (): Kvm => {
  let found: Kvm | undefined
  forEachAlive(Kvm, (k) => {
    found = k
  })
  return found!
}
const vcpu = (): KvmVcpu => kvm().vcpus.get(0)!
const isPrivate = (gfn: number): boolean => attrPrivate(kvm(), gfn as Gfn)
const cached = (index: number): Folio | null =>
  xaLoad(fileMapping(fd)!.iPages, index as Pgoff) as Folio | null

interface Entry {
  readonly gfn: number
  readonly op: number
  readonly done?: number
  readonly large?: boolean
}

/** The guest stores bytes, those that are 0 as well. */
function store(gpa: bigint, word: bigint): void {
  for (let i = 0; i < 8; i++) {
    ok(guestWrite, vm, gpa + BigInt(i), Number((word >> BigInt(8 * i)) & 0xffn))
  }
}

function fill(
  entries: readonly Entry[],
  last = entries.length - 1,
  at = BUFFER,
  current = 0,
): void {
  store(at, BigInt(current) | (BigInt(last) << 16n))
  entries.forEach(({ gfn, op, done = 0, large = false }, i) => {
    const word = BigInt(done) | (BigInt(gfn) << 12n) | (BigInt(op) << 52n)
    store(at + BigInt(8 + 8 * i), large ? word | (1n << 56n) : word)
  })
}

const send = (scratch = BUFFER, length = 0n): number =>
  call(guestPsc, vm, GHCB_GPA, scratch, length, 1)
const byte = (offset: number): number => call(guestRead, vm, BUFFER + BigInt(offset))
const curPage = (i: number): number => byte(8 + 8 * i)

/** What user space is asked until the guest goes on, and what the guest hears then. */
function asked(entries: readonly Entry[]): { exits: string[]; said: number } {
  fill(entries)
  const exits: string[] = []
  setTraceListener((name, args) => {
    if (name !== 'kvm_map_gpa_range') return
    const [gfn, npages, attributes] = args as number[]
    exits.push(`${gfn}+${npages} ${attributes === PRIVATE ? 'private' : 'shared'}`)
  })
  const said = send()
  setTraceListener(undefined)
  return { exits, said }
}

const SHARED = psc.VMGEXIT_PSC_OP_SHARED
const TO_PRIVATE = psc.VMGEXIT_PSC_OP_PRIVATE
/** Before the buffer is bounded, and since. */
const BEFORE = 'gmem-6.18@snp'
const SINCE = 'gmem-6.18@snp-7.3'
const boot = (design = BEFORE): void => bootOn(designNamed(design)!)

function onBoth(run: () => void): void {
  for (const design of [BEFORE, SINCE]) {
    boot(design)
    run()
  }
}

const refuses = fn(function* vmm_map_gpa_range(_vm: number, v: KvmVcpu): Kernel<void> {
  ghcbOf(v).ret = -ENOMEM
})
/** A VMM that says no to everything; the GHCB is given away before. */
function bootRefusing(): void {
  const own = { id: 'vmm-that-refuses', summary: 'a VMM says no', base: gmem618, cite: ['seeded'] }
  bootKernel(
    onHost(defineDesign({ ...own, replaces: [replace(psc.vmmMapGpaRange, refuses)] }), snp),
    'lowered',
  )
  alone = new Alone(taskWorkRun)
  vm = call(confidentialVm)
  fd = call(privateMemory, vm, BigInt(PAGES) * PAGE)
  ok(bindSlot, vm, 0, 0n, BigInt(PAGES) * PAGE, fd, 0n)
  ok(launch, vm)
  // The attribute is shared from the start; so must the C bit be.
  call(guestRead, vm, GHCB_GPA)
  sevInfo(kvm()).sharedGfns.set(PAGES - 1, 1)
}

table('3.8: the MSR protocol', boot, [
  row('one page of 4 KiB; 1 is private, 2 is shared', 'A', GHCB, () => {
    assert.equal(psc.snpBeginPscMsr(vcpu(), psc.pscRequest(3 as Gfn, TO_PRIVATE)), psc.TO_USER)
    const { gfn, npages, attributes } = ghcbOf(vcpu())
    assert.deepEqual([gfn, npages, attributes], [3, 1, PRIVATE])
    assert.equal(psc.snpBeginPscMsr(vcpu(), psc.pscRequest(3 as Gfn, SHARED)), psc.TO_USER)
    assert.equal(ghcbOf(vcpu()).attributes, 0)
  }),
  row('another operation: error', 'A', K26, () => {
    for (const op of [0, 3, 15]) {
      assert.equal(psc.snpBeginPscMsr(vcpu(), psc.pscRequest(3 as Gfn, op)), psc.TO_GUEST)
      assert.equal(ghcbOf(vcpu()).exitInfo2, psc.GHCB_MSR_PSC_ERROR)
    }
  }),
  row('user space has not asked for the exit: error', 'I', K26, () => {
    sevInfo(kvm()).exitOnMapGpaRange = false
    assert.equal(psc.snpBeginPscMsr(vcpu(), psc.pscRequest(3 as Gfn, SHARED)), psc.TO_GUEST)
    assert.equal(ghcbOf(vcpu()).exitInfo2, psc.GHCB_MSR_PSC_ERROR)
  }),
  row('user space says no: error, at which the guest gives up', 'I', K26, () => {
    bootRefusing()
    assert.equal(call(guestConvert, vm, 0n, PRIVATE), -EIO)
  }),
  row(
    'request 0x014, gfn in bits 51 to 12, operation in 55 to 52; response 0x015, bit 63',
    'A',
    GHCB,
    () => {
      assert.equal(psc.pscRequest(0xabcde as Gfn, SHARED), 0x0020_0000_abcd_e014n)
      psc.snpBeginPscMsr(vcpu(), psc.pscRequest(3 as Gfn, SHARED))
      psc.snpCompletePscMsr(vcpu())
      assert.equal(psc.pscResponse(vcpu()), 0x015n)
      psc.snpBeginPscMsr(vcpu(), psc.pscRequest(3 as Gfn, 0))
      assert.equal(psc.pscResponse(vcpu()), 0x8000_0000_0000_0015n)
    },
  ),
])

table('3.8: the header of a buffer', boot, [
  row('the last entry is behind the 253rd: INVALID_HDR', 'A', K26, () => {
    onBoth(() => {
      fill([{ gfn: 0, op: SHARED }], 253)
      assert.equal(send(), psc.VMGEXIT_PSC_ERROR_INVALID_HDR)
      assert.equal(isPrivate(0), true)
    })
  }),
  row('there is no room for it: INVALID_HDR, but up to 7.0 nobody looks', 'I', K26, () => {
    const at = BUFFER + 2032n - 16n
    const said = [BEFORE, SINCE].map((design) => {
      boot(design)
      fill([{ gfn: 0, op: SHARED }], 1, at)
      return send(at)
    })
    assert.deepEqual(said, [0, psc.VMGEXIT_PSC_ERROR_INVALID_HDR])
  }),
  row('the first entry is behind the last one: nothing to do', 'I', K26, () => {
    onBoth(() => {
      fill([{ gfn: 0, op: SHARED }], 0, BUFFER, 1)
      assert.equal(send(), 0)
      assert.equal(isPrivate(0), true)
    })
  }),
  row('it is read once, as of 7.1.8; before, for every range', 'I', K26, () => {
    // See also hosts/buffer-changed-while-the-vmm-answers.
    const ranges = [
      { gfn: 0, op: SHARED },
      { gfn: 2, op: SHARED },
    ]
    onBoth(() => assert.deepEqual(asked(ranges), { exits: ['0+1 shared', '2+1 shared'], said: 0 }))
  }),
])

table('3.8: the entries', boot, [
  row('an entry that is further than it is long: INVALID_ENTRY', 'A', K26, () => {
    onBoth(() => {
      fill([{ gfn: 0, op: SHARED, done: 2 }])
      assert.equal(send(), psc.VMGEXIT_PSC_ERROR_INVALID_ENTRY)
      fill([{ gfn: 0, op: SHARED, done: REGION + 1, large: true }])
      assert.equal(send(), psc.VMGEXIT_PSC_ERROR_INVALID_ENTRY)
    })
  }),
  row('2 MiB that do not begin at 2 MiB: INVALID_ENTRY', 'A', K26, () => {
    onBoth(() => {
      fill([{ gfn: 1, op: SHARED, large: true }])
      assert.equal(send(), psc.VMGEXIT_PSC_ERROR_INVALID_ENTRY)
    })
  }),
  row('2 MiB that were begun before go on in steps of 4 KiB', 'I', K26, () => {
    onBoth(() => {
      const entries = [
        { gfn: 0, op: SHARED, large: true, done: 1 },
        { gfn: REGION, op: SHARED, large: true },
      ]
      const exits = [`1+${REGION - 1} shared`, `${REGION}+${REGION} shared`]
      assert.deepEqual(asked(entries), { exits, said: 0 })
    })
  }),
  row('one that is done is passed over', 'I', K26, () => {
    onBoth(() => {
      const entries = [
        { gfn: 0, op: SHARED, done: 1 },
        { gfn: 1, op: SHARED },
      ]
      assert.deepEqual(asked(entries), { exits: ['1+1 shared'], said: 0 })
      assert.equal(byte(0), 2)
    })
  }),
  row('neighbours with one operation and size are one exit', 'I', K26, () => {
    onBoth(() => {
      const entries = [0, 1, 2].map((gfn) => ({ gfn, op: SHARED }))
      assert.deepEqual(asked(entries), { exits: ['0+3 shared'], said: 0 })
      assert.deepEqual([0, 1, 2].map(curPage), [1, 1, 1])
      assert.equal(byte(0), 3)
    })
  }),
  row('a gap, another operation, another size, one begun: an exit of its own', 'I', K26, () => {
    const others: readonly (readonly [Entry, string])[] = [
      [{ gfn: REGION + 2, op: SHARED }, `${REGION + 2}+1 shared`],
      [{ gfn: REGION, op: TO_PRIVATE }, `${REGION}+1 private`],
      [{ gfn: REGION, op: SHARED, large: true }, `${REGION}+${REGION} shared`],
    ]
    for (const [entry, exit] of others) {
      boot()
      const exits = [`${REGION - 1}+1 shared`, exit]
      assert.deepEqual(asked([{ gfn: REGION - 1, op: SHARED }, entry]), { exits, said: 0 })
    }
  }),
  row('user space says no: GENERIC, and the entry is not done', 'I', K26, () => {
    bootRefusing()
    fill([{ gfn: 0, op: TO_PRIVATE }])
    assert.equal(send(), psc.VMGEXIT_PSC_ERROR_GENERIC)
    assert.deepEqual([byte(0), curPage(0)], [0, 0])
  }),
  row('user space has not asked for the exit: GENERIC', 'I', K26, () => {
    onBoth(() => {
      sevInfo(kvm()).exitOnMapGpaRange = false
      fill([{ gfn: 0, op: SHARED }])
      assert.equal(send(), psc.VMGEXIT_PSC_ERROR_GENERIC)
    })
  }),
  row('another operation counts as done', 'I', K26, () => {
    onBoth(() => {
      assert.deepEqual(
        asked([
          { gfn: 0, op: 3 },
          { gfn: 2, op: 0 },
        ]),
        { exits: [], said: 0 },
      )
      assert.deepEqual([0, 1].map(curPage), [1, 1])
      assert.equal(isPrivate(0), true)
    })
  }),
  row('SW_EXITINFO1 says that there is nothing to do, whatever SW_EXITINFO2 is', 'I', K26, () => {
    onBoth(() => {
      fill([{ gfn: 0, op: SHARED, done: 2 }])
      assert.equal(send() < 2 * 2 ** 32, true)
    })
  }),
  notModelled('up to 64 entries of a Linux guest', 'I', 'Linux 6.12', 'a guest has 16 pages here'),
])

const MALFORMED = 2 * 2 ** 32 + GHCB_ERR_INVALID_SCRATCH_AREA

table('3.8: the scratch area', boot, [
  row('none: malformed', 'A', K26, () => {
    onBoth(() => assert.equal(send(0n), MALFORMED))
  }),
  row('in the page of the GHCB, but not in its shared buffer: malformed', 'A', K26, () => {
    onBoth(() => {
      assert.equal(send(GHCB_GPA + 0x7f8n, 8n), MALFORMED)
      assert.equal(send(GHCB_GPA + 0xff0n, 8n), MALFORMED)
    })
  }),
  row('elsewhere: malformed as of 7.1.8; before, a copy that is copied back', 'I', K26, () => {
    const said = [BEFORE, SINCE].map((design) => {
      boot(design)
      ok(guestAccept, vm, 10n * PAGE)
      ok(guestConvert, vm, 10n * PAGE, 0)
      fill([{ gfn: 0, op: SHARED }], 0, 10n * PAGE)
      return [send(10n * PAGE, 16n), call(guestRead, vm, 10n * PAGE), isPrivate(0)]
    })
    assert.deepEqual(said, [
      [0, 1, false],
      [MALFORMED, 0, true],
    ])
  }),
  row('no memory is there: KVM_RUN fails, up to 7.0', 'I', K26, () => {
    assert.equal(send(0x100000n, 16n), -EFAULT)
  }),
  row('the page of the GHCB is not there: the guest is told nothing', 'I', K26, () => {
    onBoth(() => assert.equal(call(guestPsc, vm, 0x100000n, 0x100800n, 7n, 1), 7))
  }),
  row('in the tree of 2023 user space reads the buffer, and all went well', 'I', 'v8', () => {
    boot('upm@snp')
    fill([
      { gfn: 0, op: SHARED },
      { gfn: 1, op: SHARED },
    ])
    assert.equal(send(), 0)
    assert.deepEqual([isPrivate(0), isPrivate(1), isPrivate(2)], [false, false, true])
  }),
])

const inUse = (gfn: number, value: number): void => {
  ok(guestAccept, vm, BigInt(gfn) * PAGE)
  ok(guestWrite, vm, BigInt(gfn) * PAGE, value)
}
const give = (gfn: number, size = PAGE): void =>
  ok(guestConvertPages, vm, GHCB_GPA, BigInt(gfn) * PAGE, size, 0)
const takeBack = (gfn: number, size = PAGE): void =>
  ok(guestConvertPages, vm, GHCB_GPA, BigInt(gfn) * PAGE, size, PRIVATE)
const stateOf = (index: number): string => pageState(cached(index)!.pfn)

const END_TO_END: readonly Row[] = [
  row(
    'to shared, 1: a region at once does not do for pages of 4 KiB; one by one',
    'A',
    GHCB,
    () => {
      for (let gfn = 0; gfn < REGION; gfn++) inUse(gfn, 0x5a)
      give(0, BigInt(REGION) * PAGE)
      for (let gfn = 0; gfn < REGION; gfn++) assert.equal(stateOf(gfn), 'Guest-Invalid')
    },
  ),
  row("2, 3: the attribute changes; the page is the guest's, and in the file", 'I', K26, () => {
    inUse(0, 0x5a)
    give(0)
    assert.equal(isPrivate(0), false)
    assert.equal(stateOf(0), 'Guest-Invalid')
  }),
  row('4: a punch takes it', 'I', K26, () => {
    inUse(0, 0x5a)
    give(0)
    const { pfn } = cached(0)!
    ok(sysFallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0n, PAGE)
    assert.equal(cached(0), null)
    assert.equal(pageState(pfn), 'Hypervisor')
  }),
  row("5: the guest touches the process's memory", 'I', K26, () => {
    inUse(0, 0x5a)
    give(0)
    assert.equal(call(guestRead, vm, 0n), 0)
    ok(guestWrite, vm, 0n, 0x33)
    assert.equal(call(guestRead, vm, 0n), 0x33)
  }),
  row('to private: assigned by the fault of PVALIDATE, then validated', 'I', K26, () => {
    inUse(0, 0x5a)
    give(0)
    ok(sysFallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0n, PAGE)
    takeBack(0)
    assert.equal(isPrivate(0), true)
    assert.equal(stateOf(0), 'Guest-Valid')
    assert.notEqual(call(guestRead, vm, 0n), 0x5a)
  }),
  row('to private without a punch before: the old page with the old content', 'I', K26, () => {
    inUse(0, 0x5a)
    give(0)
    takeBack(0)
    assert.equal(call(guestRead, vm, 0n), 0x5a)
  }),
  row(
    'in place (7.4): the page becomes shared where it is, what it held is lost',
    'I',
    '7.4',
    () => {
      bootKernel(designNamed('gmem-convert@snp')!, 'lowered')
      alone = new Alone(taskWorkRun)
      vm = call(confidentialVm)
      fd = call(sysKvmCreateGuestMemfd, vm, PAGE, BigInt(GUEST_MEMFD_FLAG_MMAP))
      ok(bindSlot, vm, 0, 0n, PAGE, fd, 0n)
      ok(launch, vm)
      inUse(0, 0x5a)
      ok(guestConvert, vm, 0n, 0)
      assert.equal(stateOf(0), 'Hypervisor')
      assert.notEqual(call(guestRead, vm, 0n), 0x5a)
    },
  ),
  notModelled(
    '4 KiB of 2 MiB: the large mapping goes, PSMASH',
    'I',
    K26,
    'guest_memfd gives no page to a guest by an entry of 2 MiB',
  ),
]
table('3.8: from one kind to the other and back', boot, END_TO_END)
