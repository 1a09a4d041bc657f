/**
 * Memory as text: for each step that changed a mapping, a frame or a page cache, the lines of the
 * map that are not as they were, and at the end the whole map.
 */
import { cellTitle } from '../app/verdict.js'
import type { Trace, TraceStep } from '../trace/events.js'
import {
  backingPfn,
  type CacheSlot,
  changedParts,
  type Frame,
  frameKey,
  type GuestPage,
  guestKey,
  type Picture,
  type Pictured,
  slotKey,
  type UserPage,
  userKey,
} from '../trace/memory.js'
import { type Page, PLAIN_PAGE, wrap } from './paint.js'

/** One line of the map, and the key of what it tells. */
interface MapLine {
  readonly key: string
  readonly text: string
  readonly bad: boolean
}

function guestText(picture: Picture, g: GuestPage): string {
  const attribute = g.private ? 'private' : 'shared'
  const spte = g.spte === undefined ? 'no SPTE' : `SPTE -> pfn ${g.spte.pfn}`
  const tlb = g.tlb.map((t) => `, TLB of vCPU ${t.vcpu} -> pfn ${t.pfn}`).join('')
  const pfn = backingPfn(picture, g)
  const there = typeof pfn === 'number' ? `pfn ${pfn}` : pfn
  const backing =
    g.backing === undefined ? '' : `; ${g.backing.file}[${g.backing.index}] is ${there}`
  const wrong = g.reproaches.map((r) => `  *** ${r.id}`).join('')
  const covered = g.invalidating ? ', being invalidated' : ''
  return `${g.vm} gfn 0x${g.gfn.toString(16)} ${attribute}${covered}: ${spte}${tlb}${backing}${wrong}`
}

function frameText(f: Frame): string {
  if (f.free) return `pfn ${f.pfn} free, ${f.content}`
  const maps = f.maps > 0 ? `, ${f.maps} PTEs` : ''
  const lock = f.lockedBy === undefined ? '' : `, locked by ${f.lockedBy}`
  const of = f.mapping === undefined ? '' : `, of ${f.mapping.file}[${f.mapping.index}]`
  const owner = f.owner === undefined ? '' : `, ${f.owner}`
  const flags = f.flags.length === 0 ? '' : `, ${f.flags.join(' ')}`
  return `pfn ${f.pfn}: ${f.refs} refs${maps}${of}${lock}${flags}${owner}; ${f.content}`
}

function slotText(s: CacheSlot): string {
  return `${slotKey(s)} = ${s.pfn === undefined ? 'swapped out' : `pfn ${s.pfn}`}`
}

function userText(u: UserPage): string {
  return `PTE ${u.address} -> pfn ${u.pfn}${u.writable ? '' : ', read only'}`
}

function linesOf(picture: Picture): MapLine[] {
  const line = (key: string, text: string, bad = false): MapLine => ({ key, text, bad })
  return [
    ...picture.guest.map((g) => line(guestKey(g), guestText(picture, g), g.reproaches.length > 0)),
    ...picture.frames.map((f) => line(frameKey(f.pfn), frameText(f))),
    ...picture.cache.map((s) => line(slotKey(s), slotText(s))),
    ...picture.user.map((u) => line(userKey(u), userText(u))),
  ]
}

/** Lines of `after` that are not as they were, and those that are gone. */
function changedLines(before: Picture, after: Picture): MapLine[] {
  const parts = [...changedParts(before, after)]
  const changed = (key: string): boolean => parts.some((p) => p.startsWith(`${key} `))
  const now = linesOf(after)
  const keys = new Set(now.map((l) => l.key))
  const gone = linesOf(before).filter((l) => !keys.has(l.key))
  return [
    ...now.filter((l) => changed(l.key)),
    ...gone.map((l) => ({ ...l, text: `${l.text}: gone` })),
  ]
}

function headOf(s: TraceStep): string {
  return `${s.n} ${s.task} ${s.stack[0]?.cName ?? s.operation}`
}

/** The map as it was first, what each step changed in it, what went wrong, and who waits. */
export function renderMemory(
  trace: Trace,
  { pictures }: Pictured,
  { paint, width }: Page = PLAIN_PAGE,
): string {
  const show = (l: MapLine): string => {
    const text = wrap(l.text, width, '      ')
    return l.bad ? paint.bad(text) : text
  }
  const out = [cellTitle(trace), paint.bold('0 the set-up has run')]
  const first = pictures[0]
  if (first !== undefined) out.push(...linesOf(first).map(show))
  for (const s of trace.steps) {
    const [before, after] = [pictures[s.n - 1], pictures[s.n]]
    if (before === undefined || after === undefined) continue
    const changed = changedLines(before, after)
    if (changed.length === 0 && s.findings.length === 0) continue
    out.push(paint.bold(wrap(headOf(s), width, '')), ...changed.map(show))
    for (const f of s.findings)
      out.push(paint.bad(wrap(`*** ${f.id}: ${f.message}`, width, '      ')))
  }
  for (const t of pictures.at(-1)?.tasks ?? []) {
    if (t.waitsFor === undefined && t.holds.length === 0) continue
    const waits = t.waitsFor === undefined ? '' : ` waits for ${t.waitsFor}`
    const holds = t.holds.length === 0 ? '' : ` holds ${t.holds.join(', ')}`
    out.push(wrap(`${t.name}${waits}${holds}`, width, ''))
  }
  return out.join('\n')
}
