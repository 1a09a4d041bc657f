/** What the page knows, and the one cursor that drives every view. */
import { computed, signal } from '@preact/signals'
import type { Hindsight } from '../../explore/tell/hindsight.js'
import { changeText, visibleChanges } from '../../report/columns.js'
import { type Alignment, align } from '../../trace/align.js'
import type { TraceStep } from '../../trace/events.js'
import { named } from '../../trace/memory.js'
import type { CellVerdict, Hello, StoryAnswer, Told } from '../protocol.js'
import { Client } from './client.js'
import { adjust, inflate, type Route, route } from './route.js'
import { type Shipped, shipped, verdictsAgain } from './shipped.js'

export const data = signal<Shipped | undefined>(undefined)
export const hello = signal<Hello | undefined>(undefined)
export const verdicts = signal<readonly CellVerdict[]>([])
export const pending = signal(0)
/** What can't be shown, and why. */
export const trouble = signal<string | undefined>(undefined)

/** A story that is on the screen, with what it was asked by. */
export interface Shown {
  readonly token: string
  readonly on: string | undefined
  readonly own: string | undefined
  readonly answer: StoryAnswer
}

export const story = signal<Shown | undefined>(undefined)
export const hindsight = signal<Hindsight | undefined>(undefined)

/** The worker that answers at once, and the one that searches. */
export const clients: { quick: Client; search: Client } = {
  quick: undefined as unknown as Client,
  search: undefined as unknown as Client,
}

/** The cursor: how many steps have been taken, from 0. */
export const cursor = computed(() => {
  const shownStory = story.value
  if (shownStory === undefined) return 0
  const most = lengthOf(shownStory)
  return Math.min(route.value.step ?? shownStory.answer.own.trace.steps.length, most)
})

export function lengthOf({ answer }: Shown): number {
  return Math.max(answer.own.trace.steps.length, answer.other?.trace.steps.length ?? 0)
}

export const alignment = computed<Alignment | undefined>(() => {
  const answer = story.value?.answer
  if (answer?.other === undefined) return undefined
  const side = (t: Told) => ({ trace: t.trace, names: t.pictured.names })
  return align(side(answer.own), side(answer.other))
})

export function moveTo(step: number): void {
  const shownStory = story.value
  if (shownStory === undefined) return
  adjust({ step: Math.max(0, Math.min(step, lengthOf(shownStory))) })
}

/** What a step shows: changes worth seeing in the scenario's words, what returned, what was found. */
export interface Effects {
  readonly changes: readonly string[]
  readonly returned: readonly string[]
  readonly findings: TraceStep['findings']
}

/** An arrow that no line is broken in. */
export function arrows(text: string): string {
  return text.replaceAll('->', '→')
}

export function effectsOf(s: TraceStep, names: Told['pictured']['names']): Effects {
  return {
    changes: visibleChanges(s.changes).map((c) => arrows(named(changeText(c), names))),
    returned: s.returned,
    findings: s.findings,
  }
}

export function isSeen(s: TraceStep): boolean {
  return visibleChanges(s.changes).length > 0 || s.returned.length > 0 || s.findings.length > 0
}

/** The finding in which a replay ends; a task that waits for ever is one. */
export function findingOf({ trace }: Told): { id: string; message: string } | undefined {
  const found =
    trace.steps.at(-1)?.findings[0] ?? trace.steps.find((s) => s.findings[0])?.findings[0]
  if (found !== undefined) return found
  const [stuck] = trace.stuck
  if (stuck !== undefined) {
    return { id: 'deadlock', message: `${stuck.task} waits for ever for ${stuck.waitsFor}` }
  }
  return undefined
}

/** A token as it was pasted: out of a mail, quoted, broken, with words around it. */
export function tokenIn(text: string): string {
  const clean = text.replace(/^[>\s]+/gm, '').replace(/\s+/g, '')
  const at = clean.search(/rm\d+\./)
  return at < 0 ? clean : clean.slice(at).replace(/&.*$/, '')
}

let asking = 0

async function load({ token, on, own }: Route): Promise<void> {
  const mine = ++asking
  const before = story.value
  if (before?.token === token && before.on === on && before.own === own) return
  trouble.value = undefined
  if (before?.token !== token) {
    story.value = undefined
    hindsight.value = undefined
  }
  try {
    const text = own === undefined ? undefined : await inflate(own)
    const answer = await clients.quick.ask({ kind: 'story', token: tokenIn(token), text, on })
    if (mine !== asking) return
    story.value = { token, on, own, answer }
    if (hindsight.value !== undefined || answer.stale) return
    // After painting: what is known in hindsight is a search of its own.
    const known = await clients.search.ask({ kind: 'hindsight', token: tokenIn(token), text })
    if (mine === asking) hindsight.value = known
  } catch (error) {
    if (mine === asking) trouble.value = (error as Error).message
  }
}

async function follow(): Promise<void> {
  const { cells, pending: open } = await verdictsAgain()
  verdicts.value = cells
  pending.value = open
  if (open > 0) setTimeout(() => void follow(), 2000)
}

/** Read what comes with the page, start the workers, and follow the address. */
export async function begin(): Promise<void> {
  const found = await shipped('data.json')
  data.value = found
  clients.quick = new Client(found)
  clients.search = new Client(found)
  route.subscribe((now) => {
    if (now.screen === 'story') void load(now)
    else trouble.value = undefined
  })
  hello.value = await clients.quick.ask({ kind: 'hello' })
  await follow()
}
