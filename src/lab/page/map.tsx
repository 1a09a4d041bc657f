/**
 * The memory map: on the left what the guest and the process map, in the middle the page frames, on
 * the right the page cache. Parts that the step changed are outlined; a mapping of which the judges
 * say something is dashed and named.
 */
import { useMemo } from 'preact/hooks'
import {
  backingPfn,
  changedParts,
  type Frame,
  frameKey,
  type GuestPage,
  guestKey,
  type Picture,
  slotKey,
  type UserPage,
  userKey,
} from '../../trace/memory.js'
import type { Told } from '../protocol.js'
import { meaningOf } from './terms.js'

const ROW = 120
const TOP = 44
const GUEST = { x: 8, width: 218 }
const FRAME = { x: 318, width: 250 }
const CACHE = { x: 660, width: 172 }
const WIDTH = 840
const MOST_FRAMES = 10
const BOX = 100

/** Frames that something in some picture points to, or that change. */
function framesOf({ pictured }: Told): number[] {
  const wanted = new Set<number>()
  const seen = new Map<number, string>()
  for (const p of pictured.pictures) {
    for (const g of p.guest) {
      if (g.spte) wanted.add(g.spte.pfn)
      for (const t of g.tlb) wanted.add(t.pfn)
    }
    for (const s of p.cache) if (s.pfn !== undefined) wanted.add(s.pfn)
    for (const u of p.user) wanted.add(u.pfn)
    for (const f of p.frames) {
      const text = JSON.stringify(f)
      if ((seen.get(f.pfn) ?? text) !== text) wanted.add(f.pfn)
      seen.set(f.pfn, text)
    }
    if (p !== pictured.pictures[0]) {
      for (const f of p.frames) {
        if (pictured.pictures[0]?.frames.every((x) => x.pfn !== f.pfn)) wanted.add(f.pfn)
      }
    }
  }
  return [...wanted].sort((a, b) => a - b).slice(0, MOST_FRAMES)
}

/** Slots of page caches in all pictures, and the holes that a guest's memory is backed by. */
function slotsOf({ pictured }: Told): { file: string; index: number }[] {
  const found = new Map<string, { file: string; index: number }>()
  for (const p of pictured.pictures) {
    for (const s of p.cache) found.set(slotKey(s), s)
    for (const g of p.guest) if (g.backing) found.set(slotKey(g.backing), g.backing)
  }
  return [...found.values()]
    .sort((a, b) => (slotKey(a) < slotKey(b) ? -1 : 1))
    .slice(0, MOST_FRAMES)
}

const yOf = (i: number): number => TOP + i * ROW

function curve(x1: number, y1: number, x2: number, y2: number): string {
  const bend = (x2 - x1) / 2
  return `M${x1} ${y1} C ${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`
}

/** Two lines of at most so many characters. */
function twoLines(words: readonly string[], width: number): string[] {
  const lines = ['']
  for (const w of words) {
    const last = lines.at(-1) as string
    if (last !== '' && last.length + w.length + 1 > width) lines.push(w)
    else lines[lines.length - 1] = last === '' ? w : `${last} ${w}`
  }
  if (lines.length > 2) lines[1] = `${lines[1]} …`
  return lines.slice(0, 2)
}

/** What words of a text mean, on hover. */
function Tip({ of }: { of: readonly string[] }) {
  const told = of.flatMap((word) => {
    const meaning = meaningOf(word)
    return meaning === undefined ? [] : [`${word}: ${meaning}`]
  })
  return told.length === 0 ? null : <title>{told.join('\n')}</title>
}

interface Drawing {
  readonly now: Picture
  readonly changed: ReadonlySet<string>
  readonly frames: readonly number[]
}

function GuestBox({ g, i, draw }: { g: GuestPage; i: number; draw: Drawing }) {
  const y = yOf(i)
  const key = guestKey(g)
  const is = (part: string): string => (draw.changed.has(`${key} ${part}`) ? 'changed' : '')
  const stale = g.reproaches.length > 0
  const anything = ['spte', 'tlb', 'private', 'reproaches', 'invalidating'].some((p) => is(p))
  const toFrame = (pfn: number, dy: number, kind: string, down: number) => {
    const at = draw.frames.indexOf(pfn)
    if (at < 0) return null
    const to = FRAME.x - 2
    return (
      <path
        class={`arrow ${kind}`}
        d={curve(GUEST.x + GUEST.width, y + dy, to, yOf(at) + down)}
        marker-end={kind.includes('stale') ? 'url(#head-bad)' : 'url(#head)'}
      />
    )
  }
  return (
    <g class={`box guest ${stale ? 'bad' : ''} ${anything ? 'changed' : ''}`}>
      {g.spte && toFrame(g.spte.pfn, 40, stale ? 'spte stale' : 'spte', 26)}
      {g.tlb.map((t) => toFrame(t.pfn, 62, 'tlb', 46))}
      <rect x={GUEST.x} y={y} width={GUEST.width} height={BOX} rx="7" />
      <text x={GUEST.x + 12} y={y + 21} class="title">
        <Tip of={['gfn', g.private ? 'private' : 'shared']} />
        gfn 0x{g.gfn.toString(16)} {g.private ? 'private' : 'shared'}
      </text>
      <text x={GUEST.x + 12} y={y + 44} class={is('spte')}>
        <Tip of={['SPTE', 'pfn']} />
        SPTE {g.spte ? `→ pfn ${g.spte.pfn}` : 'none'}
      </text>
      <text x={GUEST.x + 12} y={y + 65} class={`small ${is('tlb')}`}>
        <Tip of={['TLB', 'vCPU']} />
        {g.tlb.length === 0
          ? 'TLB empty'
          : g.tlb.map((t) => `TLB vCPU ${t.vcpu} → pfn ${t.pfn}`).join(' · ')}
      </text>
      {g.invalidating && (
        <text x={GUEST.x + 12} y={y + 83} class="small good">
          invalidation under way
        </text>
      )}
      {g.reproaches.slice(0, 1).map((r) => (
        <text x={GUEST.x + 12} y={y + 83} class="small warn">
          ✗ {r.id}
        </text>
      ))}
    </g>
  )
}

function UserBox({ u, i, draw }: { u: UserPage; i: number; draw: Drawing }) {
  const y = yOf(i)
  const at = draw.frames.indexOf(u.pfn)
  const changed = [...draw.changed].some((k) => k.startsWith(`${userKey(u)} `)) ? 'changed' : ''
  return (
    <g class={`box user ${changed}`}>
      {at >= 0 && (
        <path
          class="arrow pte"
          d={curve(GUEST.x + GUEST.width, y + 28, FRAME.x - 2, yOf(at) + 66)}
          marker-end="url(#head)"
        />
      )}
      <rect x={GUEST.x} y={y} width={GUEST.width} height={54} rx="7" />
      <text x={GUEST.x + 12} y={y + 21} class="title">
        process {u.address}
      </text>
      <text x={GUEST.x + 12} y={y + 42} class="small">
        <Tip of={['PTE', 'pfn']} />
        PTE → pfn {u.pfn}
        {u.writable ? '' : ', read only'}
      </text>
    </g>
  )
}

function FrameBox({ pfn, i, draw }: { pfn: number; i: number; draw: Drawing }) {
  const y = yOf(i)
  const f: Frame | undefined = draw.now.frames.find((x) => x.pfn === pfn)
  const key = frameKey(pfn)
  const is = (part: string): string => (draw.changed.has(`${key} ${part}`) ? 'changed' : '')
  const anything = [...draw.changed].some((k) => k.startsWith(`${key} `))
  const kind = f === undefined ? 'unused' : f.free ? 'free' : ''
  const poison = f?.flags.includes('hwpoison') ? 'poison' : ''
  const right = FRAME.x + FRAME.width - 12
  const [one = '', two = ''] = f === undefined ? [] : twoLines(f.flags, 32)
  const lock = f?.lockedBy === undefined ? '' : `locked by ${f.lockedBy}`
  return (
    <g class={`box frame ${kind} ${poison} ${anything ? 'changed' : ''}`}>
      <rect x={FRAME.x} y={y} width={FRAME.width} height={BOX} rx="7" />
      <text x={FRAME.x + 12} y={y + 21} class="title">
        <Tip of={['pfn', ...(f?.free === true ? ['free'] : [])]} />
        pfn {pfn}
        {f?.free ? '  free' : ''}
      </text>
      {f === undefined && (
        <text x={FRAME.x + 12} y={y + 44} class="small dim">
          not used yet
        </text>
      )}
      {f !== undefined && !f.free && (
        <>
          <text x={right} y={y + 21} text-anchor="end" class={is('refs') || is('maps')}>
            <Tip of={['refs', 'PTE']} />
            {f.refs} {f.refs === 1 ? 'ref' : 'refs'}
            {f.maps > 0 ? ` · ${f.maps} PTE` : ''}
          </text>
          <text x={FRAME.x + 12} y={y + 39} class={`small ${is('flags')}`}>
            <Tip of={f.flags} />
            {one || 'no flags'}
          </text>
          <text x={FRAME.x + 12} y={y + 54} class={`small ${is('flags')}`}>
            {two}
          </text>
          <text x={FRAME.x + 12} y={y + 73} class={`small ${is('lockedBy')}`}>
            <Tip of={lock === '' ? ['address_space'] : ['locked']} />
            {lock || (f.mapping ? `of ${slotKey(f.mapping)}` : 'in no page cache')}
          </text>
        </>
      )}
      {f !== undefined && (
        <text x={FRAME.x + 12} y={y + 91} class={`small data ${is('content')}`}>
          {f.content.length > 32 ? `${f.content.slice(0, 31)}…` : f.content}
        </text>
      )}
      {f?.owner && <Badge text={f.owner} y={y} className={is('owner')} />}
    </g>
  )
}

/** Whose the frame is for the hardware: on its upper edge, free or not. */
function Badge({ text, y, className }: { text: string; y: number; className: string }) {
  const width = Math.min(FRAME.width - 4, 18 + text.length * 6.6)
  const x = FRAME.x + FRAME.width - width - 6
  return (
    <g class={`badge ${className}`}>
      <rect x={x} y={y - 11} width={width} height={19} rx="9.5" />
      <text x={x + width / 2} y={y + 2.5} text-anchor="middle">
        <Tip of={text.split(/[, ]+/)} />
        {text}
      </text>
    </g>
  )
}

function SlotBox({
  slot,
  i,
  draw,
}: {
  slot: { file: string; index: number }
  i: number
  draw: Drawing
}) {
  const y = yOf(i)
  const key = slotKey(slot)
  const now = draw.now.cache.find((s) => slotKey(s) === key)
  const at = now?.pfn === undefined ? -1 : draw.frames.indexOf(now.pfn)
  const changed = draw.changed.has(`${key} pfn`) ? 'changed' : ''
  return (
    <g class={`box slot ${now === undefined ? 'hole' : ''} ${changed}`}>
      {at >= 0 && (
        <path
          class="arrow cache"
          d={curve(CACHE.x, y + 32, FRAME.x + FRAME.width + 2, yOf(at) + 32)}
          marker-end="url(#head)"
        />
      )}
      <rect x={CACHE.x} y={y} width={CACHE.width} height={64} rx="7" />
      <text x={CACHE.x + 12} y={y + 24} class="title">
        {key}
      </text>
      <text x={CACHE.x + 12} y={y + 47} class={`small ${changed}`}>
        <Tip of={['page cache', now === undefined ? 'hole' : 'swapped out']} />
        {now === undefined ? 'hole' : now.pfn === undefined ? 'swapped out' : `→ pfn ${now.pfn}`}
      </text>
    </g>
  )
}

/** In words, for who can't see it. */
function inWords(now: Picture): string {
  const owned = now.frames.flatMap((f) =>
    f.owner === undefined || f.free ? [] : [`pfn ${f.pfn} for the hardware: ${f.owner}`],
  )
  const guest = now.guest.map((g) => {
    const maps = g.spte ? `maps pfn ${g.spte.pfn}` : 'is not mapped'
    const wrong = g.reproaches.map((r) => `, ${r.id}`).join('')
    const backing = backingPfn(now, g)
    const there = typeof backing === 'number' ? `pfn ${backing}` : backing
    return `gfn 0x${g.gfn.toString(16)} ${maps}; in the file: ${there}${wrong}`
  })
  return [...guest, ...owned].join('. ')
}

export function MemoryMap({ told, step }: { told: Told; step: number }) {
  const { pictures } = told.pictured
  const at = Math.min(step, pictures.length - 1)
  const now = pictures[at] as Picture
  const before = pictures[at - 1] ?? now
  const frames = useMemo(() => framesOf(told), [told])
  const slots = useMemo(() => slotsOf(told), [told])
  const draw = { now, changed: changedParts(before, now), frames }
  const rows = Math.max(frames.length, slots.length, now.guest.length + now.user.length, 1)
  const height = TOP + rows * ROW
  const label = `Memory on ${told.design} after step ${at}`
  return (
    <figure class="map">
      <figcaption>
        {label}
        {step > at && <span class="dim"> (its last)</span>}
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls on narrow screens */}
      <section class="sheet" tabIndex={0} aria-label={label}>
        <svg viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={`${label}: ${inWords(now)}`}>
          <defs>
            <marker
              id="head"
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="6.5"
              markerHeight="6.5"
              orient="auto"
            >
              <path d="M0 0L8 4L0 8z" class="head" />
            </marker>
            <marker
              id="head-bad"
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="6.5"
              markerHeight="6.5"
              orient="auto"
            >
              <path d="M0 0L8 4L0 8z" class="head bad" />
            </marker>
          </defs>
          <text x={GUEST.x} y="22" class="column">
            guest and process
          </text>
          <text x={FRAME.x} y="22" class="column">
            page frames
          </text>
          <text x={CACHE.x} y="22" class="column">
            page cache
          </text>
          {slots.map((slot, i) => (
            <SlotBox key={slotKey(slot)} slot={slot} i={i} draw={draw} />
          ))}
          {frames.map((pfn, i) => (
            <FrameBox key={pfn} pfn={pfn} i={i} draw={draw} />
          ))}
          {now.guest.map((g, i) => (
            <GuestBox key={guestKey(g)} g={g} i={i} draw={draw} />
          ))}
          {now.user.map((u, i) => (
            <UserBox key={u.address} u={u} i={now.guest.length + i} draw={draw} />
          ))}
        </svg>
      </section>
    </figure>
  )
}
