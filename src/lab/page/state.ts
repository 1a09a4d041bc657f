/** What the page knows, and the one cursor that drives every view. */
import { computed, signal } from '@preact/signals'
import type { Hindsight } from '../../explore/tell/hindsight.js'
import { changeText, visibleChanges } from '../../report/columns.js'
import { type Alignment, align } from '../../trace/align.js'
import type { TraceStep } from '../../trace/events.js'
import { named } from '../../trace/memory.js'
import { tokenIn } from '../mail.js'
import type { CellVerdict, Shipped, StoryAnswer, Told, Words } from '../protocol.js'
import { adjust, inflate, type Route, route } from './route.js'
import { dataAgain, onChange, shipped, verdictsOf } from './shipped.js'
import { ask, warm } from './workers.js'

export const data = signal<Shipped | undefined>(undefined)
/** By the id of its matrix: what is known of it. */
export const matrices = signal<Readonly<Record<string, readonly CellVerdict[]>>>({})
export const pending = signal<Readonly<Record<string, number>>>({})

const NO_WORDS: Words = { operations: [], constants: [], errno: {}, findings: [] }

/** What the language and the reports speak of. */
export const words = computed(() => data.value?.words ?? NO_WORDS)

/** All designs, each in the first matrix that has it. */
export const designGroups = computed(() => {
  const seen = new Set<string>()
  return (data.value?.matrices ?? []).flatMap(({ title, designs }) => {
    const fresh = designs.filter(({ id }) => !seen.has(id))
    for (const { id } of fresh) seen.add(id)
    return fresh.length === 0 ? [] : [{ title, designs: fresh }]
  })
})

/** What the cell of a scenario on a design was found to be, whichever matrix it is in. */
export function verdictOn(scenario: string, design: string): CellVerdict | undefined {
  for (const cells of Object.values(matrices.value)) {
    const found = cells.find((v) => v.scenario === scenario && v.design === design)
    if (found !== undefined) return found
  }
  return undefined
}

/** What can't be shown, and why. */
export const trouble = signal<string | undefined>(undefined)

/** A story that is on the screen, with what it was asked by. */
export interface Shown {
  readonly token: string
  readonly on: string | undefined
  readonly own: string | undefined
  /** Of the user's: the text of a design, deflated. */
  readonly design: string | undefined
  readonly answer: StoryAnswer
}

export const story = signal<Shown | undefined>(undefined)
export const hindsight = signal<Hindsight | undefined>(undefined)

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

/** Texts of designs that the user wrote here, or has allowed to run. */
const allowed = new Set<string>()

/** A design is a program: one that came in a link does not run before the user has said so. */
export function mayRun(code: string): boolean {
  return allowed.has(code)
}

/** The user has said so. */
export function allow(code: string): void {
  allowed.add(code)
  asksToRun.value = undefined
  if (route.value.screen === 'story') void load(route.value)
}

let asking = 0

/** How long a story that has come has the machine for itself, in milliseconds. */
const SEEN_FIRST = 250

/** Resolves when what was changed can be seen; of a page that nobody sees, at once. */
export function painted(): Promise<void> {
  if (document.hidden) return Promise.resolve()
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)))
}

/** The design of a link, which has not been allowed to run. */
export const asksToRun = signal<string | undefined>(undefined)

async function load(to: Route): Promise<void> {
  const { token, on, own, design } = to
  const mine = ++asking
  const before = story.value
  const known = before?.token === token && before.on === on && before.own === own
  if (known && before.design === design) return
  trouble.value = undefined
  asksToRun.value = undefined
  if (before?.token !== token) {
    story.value = undefined
    hindsight.value = undefined
  }
  try {
    const text = own === undefined ? undefined : await inflate(own)
    const code = design === undefined ? undefined : await inflate(design)
    if (mine !== asking) return
    if (code !== undefined && !mayRun(code)) {
      asksToRun.value = code
      return
    }
    const clean = tokenIn(token)
    const answer = await ask('quick', { kind: 'story', token: clean, text, on, code })
    if (mine !== asking) return
    story.value = { token, on, own, design, answer }
    if (hindsight.value !== undefined || answer.stale) return
    await painted()
    // What is known in hindsight is a search of its own, in a worker that has to begin: not while
    // the browser is still busy with what came first.
    await new Promise((resolve) => setTimeout(resolve, SEEN_FIRST))
    if (mine !== asking) return
    const later = await ask('search', { kind: 'hindsight', token: clean, text, code })
    if (mine === asking) hindsight.value = later
  } catch (error) {
    if (mine === asking) trouble.value = (error as Error).message
  }
}

const followed = new Set<string>()

/** How long until the server is asked again for verdicts that it has come to, in milliseconds. */
const AGAIN = 2000

/** Have what is known of a matrix, and all that the server comes to from now on. */
export async function follow(id: string): Promise<void> {
  if (followed.has(id)) return
  followed.add(id)
  for (;;) {
    const { cells, pending: open } = await verdictsOf(id)
    matrices.value = { ...matrices.value, [id]: cells }
    pending.value = { ...pending.value, [id]: open }
    if (open === 0) return
    await new Promise((resolve) => setTimeout(resolve, AGAIN))
  }
}

/** Read what comes with the page, and follow the address. */
export async function begin(): Promise<void> {
  const { screen, design } = route.value
  if (screen === 'story' && design === undefined) warm('quick')
  const found = await shipped('data.json')
  data.value = found
  route.subscribe((now) => {
    if (now.screen === 'story') void load(now)
    else trouble.value = undefined
  })
  if (found.open.live === true) {
    onChange(() => {
      void dataAgain().then((now) => {
        data.value = now
      })
    })
  }
  if (route.value.screen !== 'story') await follow('main')
}
