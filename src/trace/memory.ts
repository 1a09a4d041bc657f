/**
 * What memory looks like at one moment of a replay: the guest's frames and what they map, the page
 * frames, the page caches, and the tasks with what they hold and wait for. Plain data; the map of
 * the page and `replay --view memory` draw the same.
 */

/** What a judge says of a mapping in this very state. */
export interface Reproach {
  readonly id: string
  readonly message: string
}

/** A vCPU's TLB has an entry for a gfn. */
export interface TlbEntry {
  readonly vcpu: number
  readonly pfn: number
}

/** One frame of a guest's memory. */
export interface GuestPage {
  /** The VM, as the scenario names it. */
  readonly vm: string
  readonly gfn: number
  /** Id of the memslot that contains it, if one does. */
  readonly slot: number | undefined
  /** By the VM's attributes. */
  readonly private: boolean
  /** An invalidation of it is under way. */
  readonly invalidating: boolean
  /** Where the slot says its page is: a page cache and an offset in pages. */
  readonly backing: { readonly file: string; readonly index: number } | undefined
  readonly spte:
    | { readonly pfn: number; readonly writable: boolean; readonly private: boolean }
    | undefined
  readonly tlb: readonly TlbEntry[]
  /** What the judges say of how it is mapped. */
  readonly reproaches: readonly Reproach[]
}

/** One page frame. */
export interface Frame {
  readonly pfn: number
  readonly free: boolean
  readonly refs: number
  /** PTEs that map it. */
  readonly maps: number
  /** The task that holds the folio lock. */
  readonly lockedBy: string | undefined
  /** Flags that are set, in C's spelling. */
  readonly flags: readonly string[]
  /** The page cache and the offset that it says it belongs to. */
  readonly mapping: { readonly file: string; readonly index: number } | undefined
  readonly content: string
  /** Whose it is, for the hardware, on a host that keeps a table of that. */
  readonly owner: string | undefined
}

/** One slot of a page cache. */
export interface CacheSlot {
  /** The file, as the scenario names it. */
  readonly file: string
  /** In pages. */
  readonly index: number
  /** Undefined for an entry that is no page: swapped out. */
  readonly pfn: number | undefined
}

/** A page of the process that its page table has. */
export interface UserPage {
  /** In bytes. */
  readonly address: string
  readonly pfn: number
  readonly writable: boolean
}

export interface TaskState {
  readonly name: string
  /** `later`: of a phase that has not begun. */
  readonly state: 'ready' | 'waits' | 'ended' | 'died' | 'later'
  readonly waitsFor: string | undefined
  /** Locks held, in the order in which they were taken, each with the object that it lies in. */
  readonly holds: readonly string[]
}

export interface Picture {
  readonly guest: readonly GuestPage[]
  readonly frames: readonly Frame[]
  readonly cache: readonly CacheSlot[]
  readonly user: readonly UserPage[]
  readonly tasks: readonly TaskState[]
}

/** The pictures of a replay: before the first step, and after each. */
export interface Pictured {
  readonly pictures: readonly Picture[]
  /** How the scenario names objects that changes name by number: `file 1` is `fd`. */
  readonly names: Readonly<Record<string, string>>
}

/** A text in which objects are named as the scenario names them. */
export function named(text: string, names: Pictured['names']): string {
  return text.replace(/\b[a-z_]+ \d+\b/g, (object) => names[object] ?? object)
}

/** Keys under which parts of a picture are compared: `frame 3 refs`. */
export type PartKey = string

/** The parts of `after` that are not as they were: what a view outlines. */
export function changedParts(before: Picture, after: Picture): ReadonlySet<PartKey> {
  const old = new Map(partsOf(before))
  return new Set(partsOf(after).flatMap(([key, value]) => (old.get(key) === value ? [] : [key])))
}

export const guestKey = (g: Pick<GuestPage, 'vm' | 'gfn'>): string => `${g.vm} gfn ${g.gfn}`
export const frameKey = (pfn: number): string => `frame ${pfn}`
export const slotKey = (s: Pick<CacheSlot, 'file' | 'index'>): string => `${s.file}[${s.index}]`
export const userKey = (u: Pick<UserPage, 'address'>): string => `user ${u.address}`

function partsOf(picture: Picture): (readonly [PartKey, string])[] {
  const fieldsOf = (key: string, object: object): (readonly [PartKey, string])[] =>
    Object.entries(object).map(([name, value]) => [`${key} ${name}`, JSON.stringify(value) ?? ''])
  return [
    ...picture.guest.flatMap((g) => fieldsOf(guestKey(g), g)),
    ...picture.frames.flatMap((f) => fieldsOf(frameKey(f.pfn), f)),
    ...picture.cache.flatMap((s) => fieldsOf(slotKey(s), s)),
    ...picture.user.flatMap((u) => fieldsOf(userKey(u), u)),
    ...picture.tasks.flatMap((t) => fieldsOf(t.name, t)),
  ]
}

/** The page of a slot of the page cache: a number, `swapped out`, or a hole. */
export function backingPfn(picture: Picture, g: GuestPage): number | 'hole' | 'swapped' {
  const { backing } = g
  if (backing === undefined) return 'hole'
  const slot = picture.cache.find((s) => s.file === backing.file && s.index === backing.index)
  if (slot === undefined) return 'hole'
  return slot.pfn ?? 'swapped'
}
