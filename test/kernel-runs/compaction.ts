/**
 * Compaction in the recorded runs. There it went over 3000 pages and whatever else the machine had;
 * here over a few pages, so of its counts only none or some is compared.
 */
import { replacementsOf } from '../../src/designs/design.js'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { compact, compactUnevictableAllowed } from '../../src/kernel/mm/compaction.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { activate, fn, replace } from '../../src/machine/fn.js'
import { allocate, bind, create, drain, faultAll, getPage, pfnOf, putPage } from './calls.js'
import { resetMmu } from './device.js'
import { takeCounts } from './kernel-log.js'
import { cached, type Observation, spte } from './observe.js'
import type { Replay } from './replay.js'
import { call } from './runner.js'

const PAGES = 24

const SIGNS = [
  'override_calls',
  'moved',
  'moved_total',
  'gone',
  'pageblocks_unmovable_movable_reclaimable',
  'spte_ok',
  'spte_other_page',
  'stale_freed',
]

const notAllowed = fn(function compact_unevictable_allowed(): boolean {
  return false
})

/** The restricted pages that compaction goes over, mapped by notifier 1. */
class Area {
  readonly fd = create()
  readonly #first: readonly number[]

  /** Neighbours below the area are freed, so that there is room for what moves. */
  constructor(dirty: boolean) {
    const neighbours = call(sysMemfdCreate, 0)
    allocate(neighbours, 0, PAGES)
    resetMmu(1)
    bind(this.fd, 0, PAGES - 1, 1)
    if (dirty) allocate(this.fd, 0, PAGES)
    faultAll(this.fd, 0, PAGES)
    call(sysClose, neighbours)
    drain()
    this.#first = this.#pages().map((index) => pfnOf(this.fd, index))
  }

  #pages(): number[] {
    return Array.from({ length: PAGES }, (_, index) => index)
  }

  /** Compact; which pages have moved since the beginning, or left the file? */
  compact(): Observation & { moved: number } {
    takeCounts()
    call(compact)
    const { override_calls } = takeCounts()
    const now = this.#pages().map((index) => cached(this.fd, index))
    const moved = now.filter((f, i) => f !== null && f.pfn !== this.#first[i]).length
    return { override_calls, moved, gone: now.filter((f) => f === null).length }
  }

  /** Kinds of the page blocks that the pages are in. */
  blocks(): Observation {
    const movable = this.#pages().filter((i) => cached(this.fd, i)!.movableBlock).length
    return { pageblocks_unmovable_movable_reclaimable: [PAGES - movable, movable, 0] }
  }

  close(): void {
    call(sysClose, this.fd)
  }
}

/** One area with the sysctl as it is by default, then with 0. */
function compactTwice(r: Replay, dirty: boolean): void {
  const call0 = dirty
    ? 'compact_memory over 3000 dirty restricted pages'
    : 'compact_memory over 3000 clean restricted pages, anonymous neighbours freed'
  const area = new Area(dirty)
  const blocks = area.blocks()
  if (r.isNext(call0)) {
    const obs = { ...area.compact(), ...blocks, spte: spte(area.fd, 1) }
    r.row('E6.compact', call0, { ret: 0, obs, signs: SIGNS })
  }
  activate([...replacementsOf(r.design), replace(compactUnevictableAllowed, notAllowed)])
  const { override_calls, moved } = area.compact()
  activate(replacementsOf(r.design))
  const obs = { override_calls, moved_total: moved }
  r.row('E6.compact', 'again with compact_unevictable_allowed=0', { ret: 0, obs, signs: SIGNS })
  area.close()
}

export function e6Compaction(r: Replay): void {
  compactTwice(r, false)
  compactTwice(r, true)
}

/** The boots `pin` and `nopin`: with and without an extra reference on each page. */
export function e6Pin(r: Replay): void {
  const held = r.boot.g === 'pin'
  const area = new Area(false)
  if (held) for (let i = 0; i < PAGES; i++) getPage(area.fd, i)
  const { gone: _, ...counts } = area.compact()
  const name = `compact_memory over 3000 clean restricted pages${held ? ', each with one extra reference' : ''}`
  const obs = { ...counts, spte: spte(area.fd, 1) }
  r.row('E6.pin', name, { ret: 0, obs, signs: SIGNS })
  if (held) for (let i = 0; i < PAGES; i++) putPage()
  area.close()
}
