/**
 * Takes the picture of a state. Of frames it has all that are in use, and those that were in use in
 * an earlier picture of the same replay; a frame that nobody has touched yet is not there.
 *
 * What is wrong with a mapping is what the judges say of this state: there is no second opinion on
 * staleness here.
 */
import { waitsFor } from '../cell/deadlock.js'
import type { Design } from '../designs/design.js'
import { AddressSpace } from '../kernel/include/fs.js'
import { Kvm, KvmVcpu, type Spte } from '../kernel/include/kvm.js'
import { Folio } from '../kernel/include/mm.js'
import { currentMm } from '../kernel/include/mm_types.js'
import type { Gfn, Pfn } from '../kernel/include/types.js'
import type { XArray } from '../kernel/include/xarray.js'
import {
  xaFindAfterIndex,
  xaFindIndex,
  xaIsValue,
  xaLoad,
  xaLoadEntry,
} from '../kernel/lib/xarray.js'
import { forEachFolio } from '../kernel/mm/page_alloc.js'
import { nextPte, PTE_PRESENT, PTE_WRITE, pteAt, pteFolio } from '../kernel/mm/pgtable.js'
import { attrPrivate } from '../kernel/virt/kvm/memory_attributes.js'
import { type Blob, describeBlob } from '../machine/blob.js'
import { asNullDereference, type Facts, KernelFault } from '../machine/fault.js'
import { canStep, hasDied, hasEnded, taskCount, taskName } from '../machine/machine.js'
import { isAlive, objectName, snake } from '../machine/struct.js'
import { hasStarted, lockClassName, taskNumber } from '../machine/task.js'
import { sanitizersOn } from '../sanitizers/index.js'
import { backingOf, forEachAlive, forEachSpte, isCovered, slotOf } from '../sanitizers/view.js'
import type {
  CacheSlot,
  Frame,
  GuestPage,
  Picture,
  Reproach,
  TaskState,
  TlbEntry,
  UserPage,
} from '../trace/memory.js'
import type { Naming } from './naming.js'

/** Pages of one memslot, or of the process, that a picture has room for. */
const MOST_PAGES = 16
const LAST = Number.MAX_SAFE_INTEGER
const ADDRESSES = 1n << 47n

export class Painter {
  readonly #design: Design
  readonly #naming: Naming
  /** Frames that were in use in some picture. */
  readonly #known = new Set<number>()

  constructor(design: Design, naming: Naming) {
    this.#design = design
    this.#naming = naming
  }

  /** The present state. */
  take(): Picture {
    this.#naming.look()
    const guest = this.#guest()
    return {
      guest,
      frames: this.#frames(),
      cache: this.#cache(),
      user: userPages(),
      tasks: Array.from({ length: taskCount() }, (_, n) => this.#task(n)),
    }
  }

  #guest(): GuestPage[] {
    const reproaches = this.#judged()
    const pages: GuestPage[] = []
    forEachAlive(Kvm, (kvm) => {
      const vm = this.#naming.of(kvm)
      for (const gfn of gfnsOf(kvm)) {
        const slot = slotOf(kvm, gfn)
        const backing = slot === null ? undefined : readable(() => backingOf(slot, gfn))
        const spte = xaLoad(kvm.tdpMmu, gfn) as Spte | null
        pages.push({
          vm,
          gfn,
          slot: slot?.id,
          private: attrPrivate(kvm, gfn),
          invalidating: isCovered(kvm, gfn),
          backing: backing && { file: this.#naming.of(backing.mapping), index: backing.index },
          spte:
            spte === null
              ? undefined
              : { pfn: spte.pfn, writable: spte.writable, private: spte.private },
          tlb: tlbOf(kvm, gfn),
          reproaches: reproaches.get(`${objectName(kvm.at)} ${gfn}`) ?? [],
        })
      }
    })
    return pages
  }

  /** What the judges of states say of guest frames, by VM and gfn. */
  #judged(): Map<string, Reproach[]> {
    const by = new Map<string, Reproach[]>()
    const report = (id: string, message: string, { about, values }: Facts): void => {
      if (values.gfn === undefined) return
      const vm = about.find((name) => name.startsWith(`${Kvm.cName} `))
      const key = `${vm} ${values.gfn}`
      by.set(key, [...(by.get(key) ?? []), { id, message }])
    }
    const crashed = Array.from({ length: taskCount() }, (_, n) => n).some(hasDied)
    for (const s of sanitizersOn(this.#design.host?.machine)) s.state?.({ report, crashed })
    return by
  }

  #frames(): Frame[] {
    const frames: Frame[] = []
    forEachFolio((folio) => {
      if (folio.buddy && !this.#known.has(folio.pfn)) return
      this.#known.add(folio.pfn)
      frames.push(this.#frame(folio))
    })
    return frames
  }

  #frame(folio: Folio): Frame {
    const { pfn, mapping, lockOwner } = folio
    return {
      pfn,
      free: folio.buddy,
      refs: folio.refcount,
      maps: folio.mapcount,
      lockedBy: lockOwner === 0 ? undefined : taskName(lockOwner - 1),
      flags: flagsOf(folio),
      mapping:
        mapping === null ? undefined : { file: this.#naming.of(mapping), index: folio.index },
      content: folio.data === 0 ? 'nothing' : describeBlob(folio.data as Blob),
      owner: this.#design.host?.ownerOf?.(pfn as Pfn),
    }
  }

  #cache(): CacheSlot[] {
    const slots: CacheSlot[] = []
    for (const mapping of this.#mappings()) {
      if (!isAlive(AddressSpace, mapping)) continue
      const file = this.#naming.of(mapping)
      for (const index of indicesOf(mapping.iPages)) {
        const entry = xaLoadEntry(mapping.iPages, index)
        const folio = xaIsValue(entry) ? null : (xaLoad(mapping.iPages, index) as Folio)
        slots.push({ file, index, pfn: folio?.pfn })
      }
    }
    return slots
  }

  /** The page caches that a guest's memory, a frame or a name of the scenario leads to. */
  #mappings(): ReadonlySet<AddressSpace> {
    const found = new Set<AddressSpace>(this.#naming.mappings())
    forEachAlive(Kvm, (kvm) => {
      for (const gfn of gfnsOf(kvm)) {
        const slot = slotOf(kvm, gfn)
        const backing = slot === null ? undefined : readable(() => backingOf(slot, gfn))
        if (backing !== undefined) found.add(backing.mapping)
      }
    })
    forEachFolio((folio) => {
      if (!folio.buddy && folio.mapping !== null) found.add(folio.mapping)
    })
    return found
  }

  #task(n: number): TaskState {
    const task = taskNumber(n)
    const holds: string[] = []
    for (let i = 0; i < task.heldCount; i++) {
      const object = this.#naming.at(task.heldAddr.get(i))
      holds.push(`${lockClassName(task.heldClass.get(i))} (${object})`)
    }
    const state = stateOfTask(n)
    return {
      name: taskName(n),
      state,
      waitsFor: state === 'waits' ? this.#naming.text(waitsFor(n)) : undefined,
      holds,
    }
  }
}

/** What is behind a pointer; undefined where the kernel under test has left it dangling. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof KernelFault || asNullDereference(error) !== undefined) return undefined
    throw error
  }
}

function stateOfTask(n: number): TaskState['state'] {
  if (hasDied(n)) return 'died'
  if (hasEnded(n)) return 'ended'
  if (canStep(n)) return 'ready'
  return hasStarted(n) ? 'waits' : 'later'
}

/** Every flag of the layout that is set, but for where the frame is in the allocator. */
function flagsOf(folio: Folio): string[] {
  const set: string[] = []
  for (const [name, { field }] of Folio.fields) {
    if (field.kind !== 'flag' || name === 'buddy') continue
    if (folio[name as keyof Folio] === true) set.push(snake(name))
  }
  return set
}

function indicesOf(xa: XArray): number[] {
  const found: number[] = []
  for (let i = xaFindIndex(xa, 0, LAST) as number; i >= 0 && found.length < MOST_PAGES; ) {
    found.push(i)
    i = xaFindAfterIndex(xa, i, LAST)
  }
  return found
}

/** The frames of a guest that a picture shows: those in memslots, and those that are mapped. */
function gfnsOf(kvm: Kvm): Gfn[] {
  const found = new Set<number>()
  const slots = kvm.memslots?.slots
  for (let i = 0; slots !== undefined && i < slots.length; i++) {
    const slot = slots.get(i)
    if (slot === null) continue
    const pages = Math.min(slot.npages, MOST_PAGES)
    for (let k = 0; k < pages; k++) found.add(slot.baseGfn + k)
  }
  forEachSpte((of, spte) => {
    if (of === kvm) found.add(spte.gfn)
  })
  return [...found].sort((a, b) => a - b) as Gfn[]
}

function tlbOf(kvm: Kvm, gfn: Gfn): TlbEntry[] {
  const entries: TlbEntry[] = []
  forEachAlive(KvmVcpu, (vcpu) => {
    if (vcpu.kvm !== kvm) return
    for (let i = 0; i < vcpu.tlbValid.length; i++) {
      if (vcpu.tlbValid.get(i) === 0 || vcpu.tlbGfn.get(i) !== gfn) continue
      entries.push({ vcpu: vcpu.id, pfn: vcpu.tlbPfn.get(i) })
    }
  })
  return entries
}

function userPages(): UserPage[] {
  const mm = currentMm()
  const pages: UserPage[] = []
  let at = nextPte(mm, 0n, ADDRESSES)
  while (at >= 0n && pages.length < MOST_PAGES) {
    const pte = pteAt(mm, at)
    if (pte & PTE_PRESENT) {
      const { pfn } = pteFolio(pte)
      pages.push({ address: `0x${at.toString(16)}`, pfn, writable: (pte & PTE_WRITE) !== 0 })
    }
    at = nextPte(mm, at + 4096n, ADDRESSES)
  }
  return pages
}
