/**
 * The seeded bugs, one at least for each sanitizer. Each is a few lines: a check left out, an order
 * changed, a reference forgotten.
 */
import { defineDesign } from '../src/designs/design.js'
import { gmem618 } from '../src/designs/gmem.js'
import { upm } from '../src/designs/upm.js'
import { upmAops } from '../src/designs/upm-aops.js'
import { upmAopsRepaired } from '../src/designs/upm-aops-repaired.js'
import {
  type Restrictedmem,
  upmNotifyEnd,
  upmNotifyStart,
  upmRelease,
  upmUnbind,
} from '../src/designs/upm-mm.js'
import { upmPin } from '../src/designs/upm-pin.js'
import { v10 } from '../src/designs/v10.js'
import { kvmFlushRemoteTlbs, kvmTdpMmuZap } from '../src/kernel/arch/x86/kvm/tdp_mmu.js'
import { fget, fput } from '../src/kernel/fs/file_table.js'
import { EFAULT, EHWPOISON, EINVAL } from '../src/kernel/include/errno.js'
import {
  type AddressSpace,
  type File,
  filesStruct,
  fsState,
  type Inode,
  Kstat,
} from '../src/kernel/include/fs.js'
import { type Kvm, KvmMemorySlot, type KvmPageFault } from '../src/kernel/include/kvm.js'
import { Folio, MF_ACTION_REQUIRED, MF_DELAYED, mmState } from '../src/kernel/include/mm.js'
import { type MmStruct, VM_FAULT_LOCKED, type VmFault } from '../src/kernel/include/mm_types.js'
import type { RestrictedmemNotifier } from '../src/kernel/include/restrictedmem.js'
import type { Gfn, Pgoff } from '../src/kernel/include/types.js'
import { GUEST_MEMFD_FLAG_INIT_SHARED } from '../src/kernel/include/uapi.js'
import { xaLoad, xaRelease, xaReserve } from '../src/kernel/lib/xarray.js'
import {
  filemapGrabFolio,
  filemapRemoveFolio,
  folioSetLocked,
  folioUnlock,
} from '../src/kernel/mm/filemap.js'
import { sysFcntlGetSeals } from '../src/kernel/mm/memfd.js'
import { memoryFailureOnline } from '../src/kernel/mm/memory_failure.js'
import {
  mmuNotifierInvalidateRangeEnd,
  mmuNotifierInvalidateRangeStart,
} from '../src/kernel/mm/mmu_notifier.js'
import { allocFolio } from '../src/kernel/mm/page_alloc.js'
import { folioPut } from '../src/kernel/mm/swap.js'
import { kvmGmemOf } from '../src/kernel/v6_18/include/guest_memfd.js'
import { kvmGmemErrorFolio } from '../src/kernel/v6_18/virt/kvm/guest_memfd.js'
import { kvmGmemFaultUserMapping } from '../src/kernel/v6_18/virt/kvm/guest_memfd_user.js'
import { gfnToPfnMemslot } from '../src/kernel/virt/kvm/hva_to_pfn.js'
import { kvmRestrictedmemError } from '../src/kernel/virt/kvm/restrictedmem.js'
import { kfree, kmalloc, kzalloc } from '../src/machine/alloc.js'
import { read } from '../src/machine/effects.js'
import { bugOn, warnOn } from '../src/machine/fault.js'
import {
  type FnTag,
  fn,
  type Kernel,
  original,
  type Replacement,
  replace,
} from '../src/machine/fn.js'
import { mutexLock, mutexUnlock, spinLock, spinUnlock, upRead } from '../src/machine/locks.js'
import { containerOf, errPtr } from '../src/machine/struct.js'
import { drainLru } from '../src/user/pages.js'
import { CONVERT_MUTANTS } from './convert.js'
import { FIELD_MUTANTS } from './field.js'
import type { Mutant } from './mutant.js'
import { PKVM_MUTANTS } from './pkvm.js'
import { SNP_MUTANTS } from './snp.js'
import { TDX_MUTANTS } from './tdx.js'

const BOUND = `
setup
  vm = kvm_create_vm(SW_PROTECTED)
  fd = private_memory(vm, 1P)
  bind(vm, slot=0, gpa=0, size=1P, fd=fd, offset=0)
  set_attributes(vm, gpa=0, size=1P, PRIVATE)
`
const GUEST = `${BOUND}  guest_write(vm, gpa=0, 0x5a) == 0
`
const scenario = (body: string): string => `litmus mutants/own\n"A seeded bug."\n${body}\n`
const alone = (call: string): string =>
  scenario(`setup\n  fd = memfd_restricted()\n\ntask t\n  ${call}`)

function mutant(
  name: string,
  base: typeof upm,
  replaces: readonly Replacement[],
  text: string,
  caughtBy: string,
  finding: string,
): Mutant {
  const design = defineDesign({ id: name, summary: name, base, cite: ['seeded'], replaces })
  return { name, design, scenario: text, caughtBy, finding }
}

/** A mutant that shows when a file's seals are asked for: a call that nothing else is made of. */
function inGetSeals(name: string, by: FnTag, caughtBy: string, finding: string): Mutant {
  const patched = replace(sysFcntlGetSeals, by as typeof sysFcntlGetSeals)
  return mutant(name, upm, [patched], alone('fcntl_get_seals(fd)'), caughtBy, finding)
}

// memory

const useAfterFree = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const file = (yield* fget(fd))!
  yield* fput(file)
  const stat = kmalloc(Kstat)
  stat.blocks = 1
  kfree(stat)
  return stat.blocks
})

const uninitialised = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  const stat = kmalloc(Kstat)
  yield read(stat, 'blocks')
  const blocks = stat.blocks
  kfree(stat)
  return blocks
})

const wrongType = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const file = (yield* fget(fd))!
  const wrong = Kstat.at(file.at)!
  yield* fput(file)
  return wrong.blocks
})

const doubleFree = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  const stat = kmalloc(Kstat)
  kfree(stat)
  kfree(stat)
  return 0
})

const errnoAsPointer = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  const folio = errPtr(Folio, -EINVAL)
  return folio.refcount
})

// null-dereference, assertions

const nullPointer = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  yield read(filesStruct(), 'fd')
  return filesStruct().fd.get(31)!.fCount
})

const warning = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  yield read(filesStruct(), 'fd')
  warnOn(true, 'a warning that should not be')
  return 0
})

const bugged = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  bugOn(true, 'a state that should not be')
  return 0
})

const unlockOfAnother = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  mutexUnlock(mmState().mfMutex)
  return 0
})

const freedLocked = fn(function* drain_lru(): Kernel<number> {
  const folio = allocFolio(true)
  folioSetLocked(folio)
  yield* folioPut(folio)
  return 0
})

// references, leaks

const extraPut = fn(function* drain_lru(): Kernel<number> {
  const pages = (filesStruct().fd.get(1)!.fMapping!.privateData as Restrictedmem).memfd!.fMapping!
    .iPages
  yield read(pages, 'xaHead')
  yield* folioPut(xaLoad(pages, 0) as Folio)
  return 0
})

const leakedObject = fn(function* restrictedmem_release(inode: Inode, _file: File): Kernel<number> {
  const rm = inode.iMapping!.privateData as Restrictedmem
  yield* fput(rm.memfd!)
  return 0
})

// lock-order, sleep-in-atomic, progress

const inverted = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  yield* spinLock(fsState().sbLock)
  yield* spinLock(filesStruct().fileLock)
  spinUnlock(filesStruct().fileLock)
  spinUnlock(fsState().sbLock)
  yield* spinLock(filesStruct().fileLock)
  yield* spinLock(fsState().sbLock)
  spinUnlock(fsState().sbLock)
  spinUnlock(filesStruct().fileLock)
  return 0
})

const sleeps = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  yield* spinLock(fsState().sbLock)
  yield* mutexLock(mmState().mfMutex)
  mutexUnlock(mmState().mfMutex)
  spinUnlock(fsState().sbLock)
  return 0
})

/** Memory is asked for under a spinlock, with flags that let the allocator sleep. */
const allocates = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  yield* spinLock(fsState().sbLock)
  kfree(kzalloc(Kstat))
  spinUnlock(fsState().sbLock)
  return 0
})

const allocatesPage = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  yield* spinLock(fsState().sbLock)
  const folio = allocFolio(true)
  yield* folioPut(folio)
  spinUnlock(fsState().sbLock)
  return 0
})

const storesNode = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const pages = filesStruct().fd.get(fd)!.fMapping!.iPages
  yield* spinLock(fsState().sbLock)
  xaReserve(pages, 7)
  xaRelease(pages, 7)
  spinUnlock(fsState().sbLock)
  return 0
})

const holdsOn = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  yield* mutexLock(mmState().mfMutex)
  return 0
})

const unlocksUnread = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  yield* upRead(filesStruct().fd.get(fd)!.fMapping!.iMmapRwsem)
  return 0
})

const removesUnlocked = fn(function* memfd_get_seals(fd: number): Kernel<number> {
  const folio = yield* filemapGrabFolio(filesStruct().fd.get(fd)!.fMapping!, 0 as Pgoff)
  yield* folioUnlock(folio)
  yield* filemapRemoveFolio(folio)
  return 0
})

const selfDeadlock = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  yield* mutexLock(mmState().mfMutex)
  yield* mutexLock(mmState().mfMutex)
  return 0
})

const spins = fn(function* memfd_get_seals(_fd: number): Kernel<number> {
  for (;;) yield read(filesStruct(), 'fd')
})

// secondary-mmu

const noZap = fn(function* tdp_mmu_zap_leafs(_kvm: Kvm, _start: Gfn, _end: Gfn): Kernel<boolean> {
  return false
})

const noUnbind = fn(function* restrictedmem_unbind(
  _file: File,
  _start: Pgoff,
  _end: Pgoff,
): Kernel<void> {})

const noFlush = fn(function* kvm_flush_remote_tlbs(_kvm: Kvm): Kernel<void> {})

// invalidation

const noEnd = fn(function* restrictedmem_notify_end(
  _rm: Restrictedmem,
  _start: Pgoff,
  _end: Pgoff,
): Kernel<void> {})

const noStart = fn(function* restrictedmem_notify_start(
  _rm: Restrictedmem,
  _start: Pgoff,
  _end: Pgoff,
): Kernel<void> {})

const find = original(gfnToPfnMemslot)

/** A page for the guest, whose rights nobody asks about. */
const alwaysWritable = fn(function* __gfn_to_pfn_memslot(fault: KvmPageFault): Kernel<Folio> {
  const folio = yield* find(fault)
  fault.mapWritable = true
  return folio
})

// poison

/** Nobody is told, and nothing zapped. */
const silent = fn(function* kvm_gmem_error_folio(
  _mapping: AddressSpace,
  _folio: Folio,
): Kernel<number> {
  return MF_DELAYED
})

/** Takes a mutex, as a callback that is allowed to sleep would. */
const sleepyReport = fn(function* kvm_restrictedmem_error(
  n: RestrictedmemNotifier,
  _start: Pgoff,
  _end: Pgoff,
): Kernel<void> {
  const kvm = containerOf(n, KvmMemorySlot, 'notifier').kvm!
  yield* mutexLock(kvm.slotsLock)
  mutexUnlock(kvm.slotsLock)
})

/** Before the failure that found the page poisoned, the caller has taken a reference. */
const failureBefore = original(memoryFailureOnline)
const keepsReference = fn(function* memory_failure_online(p: Folio, flags: number): Kernel<number> {
  yield read(p, 'hwpoison')
  if (p.hwpoison) return flags & MF_ACTION_REQUIRED ? -EFAULT : -EHWPOISON
  return yield* failureBefore(p, flags)
})

// page-content

const notCleared = fn(function* kvm_gmem_fault_user_mapping(vmf: VmFault): Kernel<number> {
  const folio = yield* filemapGrabFolio(vmf.vma!.vmFile!.fMapping!, vmf.pgoff)
  folio.uptodate = true
  vmf.page = folio
  return VM_FAULT_LOCKED
})

/** A file whose pages belong to the guest alone is mapped as if they were shared. */
const faultOfFile = original(kvmGmemFaultUserMapping)
const mapsPrivate = fn(function* kvm_gmem_fault_user_mapping(vmf: VmFault): Kernel<number> {
  const gmem = kvmGmemOf(vmf.vma!.vmFile!)
  const flags = gmem.flags
  gmem.flags = flags | GUEST_MEMFD_FLAG_INIT_SHARED
  const ret = yield* faultOfFile(vmf)
  gmem.flags = flags
  return ret
})

// the MMU notifier

/** A change of the page table that nobody hears of. */
const untold = fn(function* mmu_notifier_invalidate_range_start(
  _mm: MmStruct,
  _start: bigint,
  _end: bigint,
): Kernel<void> {})

const ORDINARY = scenario(`
setup
  vm = kvm_create_vm(DEFAULT)
  fd = memfd_create()
  ftruncate(fd, 1P)
  at = mmap(fd, PROT_READ|PROT_WRITE, MAP_SHARED, 1P)
  slot_over(vm, slot=0, gpa=0, size=1P, address=at)
  guest_write(vm, gpa=0, 0x11)
  drain_lru()

task kcompactd
  migrate(fd, page=0) == 0`)

export const MUTANTS: readonly Mutant[] = [
  ...SNP_MUTANTS,
  ...FIELD_MUTANTS,
  ...CONVERT_MUTANTS,
  ...PKVM_MUTANTS,
  ...TDX_MUTANTS,
  inGetSeals('use-after-free', useAfterFree, 'memory', 'use-after-free'),
  inGetSeals('uninitialised', uninitialised, 'memory', 'uninitialised-memory'),
  inGetSeals('wrong-type', wrongType, 'memory', 'type-confusion'),
  inGetSeals('double-free', doubleFree, 'memory', 'double-free'),
  inGetSeals('errno-as-pointer', errnoAsPointer, 'memory', 'wild-pointer'),
  inGetSeals('null-pointer', nullPointer, 'null-dereference', 'null-dereference'),
  inGetSeals('warning', warning, 'assertions', 'kernel-warning'),
  inGetSeals('bug', bugged, 'assertions', 'kernel-bug'),
  inGetSeals('unlock-of-another', unlockOfAnother, 'assertions', 'unlock-by-other'),
  inGetSeals('reader-that-never-locked', unlocksUnread, 'assertions', 'unlock-by-other'),
  inGetSeals('lock-kept', holdsOn, 'assertions', 'lock-held-on-return'),
  inGetSeals('page-removed-unlocked', removesUnlocked, 'assertions', 'kernel-bug'),
  inGetSeals('inverted-locks', inverted, 'lock-order', 'lock-inversion'),
  inGetSeals('sleeps-under-spinlock', sleeps, 'sleep-in-atomic', 'sleep-in-atomic'),
  inGetSeals('allocates-under-spinlock', allocates, 'sleep-in-atomic', 'sleep-in-atomic'),
  inGetSeals('page-under-spinlock', allocatesPage, 'sleep-in-atomic', 'sleep-in-atomic'),
  inGetSeals('node-under-spinlock', storesNode, 'sleep-in-atomic', 'sleep-in-atomic'),
  inGetSeals('self-deadlock', selfDeadlock, 'progress', 'deadlock'),
  inGetSeals('spins', spins, 'progress', 'livelock'),
  mutant(
    'extra-put',
    upmAops,
    [replace(drainLru, extraPut)],
    scenario(`${GUEST}\ntask t\n  drain_lru()`),
    'references',
    'refcount-underflow',
  ),
  mutant(
    'pin-that-nobody-drops',
    upmPin,
    [],
    'migration/two-vcpus-touch-one-page',
    'references',
    'refcount-leak',
  ),
  mutant(
    'page-freed-locked',
    upm,
    [replace(drainLru, freedLocked)],
    alone('drain_lru()'),
    'assertions',
    'bad-page-state',
  ),
  mutant(
    'release-forgets-its-object',
    upm,
    [replace(upmRelease, leakedObject)],
    alone('close(fd)'),
    'leaks',
    'memory-leak',
  ),
  mutant(
    'punch-does-not-zap',
    upmAops,
    [replace(kvmTdpMmuZap, noZap)],
    scenario(
      `${GUEST}  drain_lru()\n\ntask t\n  fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=1P)`,
    ),
    'secondary-mmu',
    'secondary-use-after-free',
  ),
  mutant(
    'zap-does-not-flush',
    upmAops,
    [replace(kvmFlushRemoteTlbs, noFlush)],
    'field/translations-of-a-punched-page',
    'secondary-mmu',
    'missing-tlb-flush',
  ),
  mutant(
    'rights-of-the-process-forgotten',
    upm,
    [replace(gfnToPfnMemslot, alwaysWritable)],
    scenario(`
setup
  vm = kvm_create_vm(DEFAULT)
  fd = memfd_create()
  ftruncate(fd, 1P)
  at = mmap(fd, PROT_READ|PROT_WRITE, MAP_PRIVATE, 1P)
  slot_over(vm, slot=0, gpa=0, size=1P, address=at)

task t
  guest_read(vm, gpa=0)`),
    'secondary-mmu',
    'missing-write-protection',
  ),
  mutant(
    'conversion-does-not-zap',
    upmAops,
    [replace(kvmTdpMmuZap, noZap)],
    scenario(`${GUEST}\ntask t\n  set_attributes(vm, gpa=0, size=1P, 0)`),
    'secondary-mmu',
    'wrong-kind-mapping',
  ),
  mutant(
    'file-bound-twice',
    v10,
    [],
    'memslot/one-file-in-two-vms',
    'secondary-mmu',
    'private-page-aliased',
  ),
  mutant(
    'page-moves-untold',
    upm,
    [],
    'migration/guest-touch-vs-compaction',
    'secondary-mmu',
    'stale-secondary-mapping',
  ),
  mutant(
    'punch-without-end',
    upmAops,
    [replace(upmNotifyEnd, noEnd)],
    scenario(`${GUEST}\ntask t\n  fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=1P)`),
    'invalidation',
    'stuck-invalidation',
  ),
  mutant(
    'end-without-start',
    upmAops,
    [replace(upmNotifyStart, noStart)],
    scenario(`${BOUND}\ntask t\n  fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=1P)`),
    'invalidation',
    'unbalanced-invalidation',
  ),
  mutant(
    'end-of-the-range-wraps',
    v10,
    [],
    'punch/punch-below-the-slot',
    'invalidation',
    'stray-zap',
  ),
  mutant(
    'failure-not-reported',
    gmem618,
    [replace(kvmGmemErrorFolio, silent)],
    scenario(`${GUEST}\ntask t\n  memory_failure(fd, page=0)`),
    'poison',
    'poison-not-reported',
  ),
  mutant(
    'report-that-sleeps',
    upmAopsRepaired,
    [replace(kvmRestrictedmemError, sleepyReport)],
    scenario(`${GUEST}\ntask t\n  memory_failure(fd, page=0)`),
    'sleep-in-atomic',
    'sleep-in-atomic',
  ),
  mutant(
    'report-to-the-neighbour',
    upmAopsRepaired,
    [],
    'memory-failure/failure-next-to-a-slot',
    'poison',
    'misdirected-report',
  ),
  mutant(
    'poison-handed-out',
    upmAopsRepaired,
    [],
    'memory-failure/poisoned-page-touched-again',
    'poison',
    'poison-remapped',
  ),
  mutant(
    'told-and-still-mapped',
    upmAopsRepaired,
    [],
    'memory-failure/mapped-restricted-page',
    'poison',
    'poison-still-mapped',
  ),
  mutant(
    'second-failure-keeps-a-reference',
    gmem618,
    [replace(memoryFailureOnline, keepsReference)],
    scenario(`
setup
  fd = memfd_create()
  ftruncate(fd, 1P)
  at = mmap(fd, PROT_READ|PROT_WRITE, MAP_SHARED, 1P)
  store(at, 0, 0x5a) == 0
  drain_lru()

task t0
  madvise(at, 1P, MADV_HWPOISON)

task t1
  madvise(at, 1P, MADV_HWPOISON)`),
    'references',
    'refcount-leak',
  ),
  mutant(
    'mapped-page-not-cleared',
    gmem618,
    [replace(kvmGmemFaultUserMapping, notCleared)],
    scenario(`
setup
  vm = kvm_create_vm(DEFAULT)
  fd = kvm_create_guest_memfd(vm, 1P, GUEST_MEMFD_FLAG_MMAP|GUEST_MEMFD_FLAG_INIT_SHARED)
  at = mmap(fd, PROT_READ|PROT_WRITE, MAP_SHARED, 1P)

task t
  load(at)`),
    'page-content',
    'uninitialised-page',
  ),
  mutant(
    'private-page-mapped',
    gmem618,
    [replace(kvmGmemFaultUserMapping, mapsPrivate)],
    scenario(`
setup
  vm = kvm_create_vm(SW_PROTECTED)
  fd = kvm_create_guest_memfd(vm, 1P, GUEST_MEMFD_FLAG_MMAP)
  at = mmap(fd, PROT_READ|PROT_WRITE, MAP_SHARED, 1P)

task t
  load(at)`),
    'private-memory',
    'private-page-mapped',
  ),
  mutant(
    'page-not-cleared',
    upm,
    [],
    'content/first-touch-of-a-new-page',
    'page-content',
    'uninitialised-page',
  ),
  mutant(
    'clean-page-evicted',
    upmAops,
    [],
    'reclaim/drop-caches-vs-guest-data',
    'page-content',
    'guest-data-lost',
  ),
  mutant(
    'slot-freed-while-bound',
    upm,
    [replace(upmUnbind, noUnbind)],
    scenario(`${GUEST}\ntask t\n  unbind(vm, slot=0)`),
    'bindings',
    'dangling-binding',
  ),
  mutant(
    'notifier-not-told',
    upm,
    [
      replace(mmuNotifierInvalidateRangeStart, untold),
      replace(mmuNotifierInvalidateRangeEnd, untold),
    ],
    ORDINARY,
    'secondary-mmu',
    'stale-secondary-mapping',
  ),
]
