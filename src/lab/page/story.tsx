/** A finding: what was asked, what went wrong, and the way there. */

import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Lanes } from './lanes.js'
import { MemoryMap } from './map.js'
import { adjust, hashOf, route } from './route.js'
import { copyLink, Share } from './share.js'
import { Stack } from './stack.js'
import {
  alignment,
  arrows,
  cursor,
  effectsOf,
  findingOf,
  hello,
  hindsight,
  isSeen,
  lengthOf,
  moveTo,
  type Shown,
  story,
  trouble,
} from './state.js'
import { Term } from './term.js'

const allSteps = signal(false)
const help = signal(false)

/** The next step, or the one before, for which something holds; else the end in that direction. */
function seek(shown: Shown, from: number, way: 1 | -1, wanted: (n: number) => boolean): number {
  for (let n = from + way; n > 0 && n <= lengthOf(shown); n += way) if (wanted(n)) return n
  return way > 0 ? lengthOf(shown) : 0
}

/** The steps of the side that has a step of this number. */
function stepOf({ answer }: Shown, n: number) {
  return answer.own.trace.steps[n - 1] ?? answer.other?.trace.steps[n - 1]
}

const KEYS: readonly (readonly [string, string])[] = [
  ['j, →', 'next step'],
  ['k, ←', 'step before'],
  ['J, K', 'next and last step of the same task'],
  ['n, N', 'next and last change'],
  ['x', 'point of no return'],
  ['Home, End', 'first and last step'],
  ['1 … 9', 'the same schedule on another design; 0: none'],
  ['a', 'all steps, or only those that changed something'],
  ['c', 'copy the link'],
  ['?', 'this list'],
]

function onKey(event: KeyboardEvent, shown: Shown): void {
  const { target } = event
  const typing = target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
  if ((typing && (target as HTMLInputElement).type !== 'range') || event.ctrlKey || event.metaKey)
    return
  const n = cursor.value
  const task = stepOf(shown, n)?.task
  const ofTask = (k: number): boolean => stepOf(shown, k)?.task === task
  const seen = (k: number): boolean => {
    const s = stepOf(shown, k)
    return s !== undefined && isSeen(s)
  }
  const lost = hindsight.value?.pointOfNoReturn
  const acts: Record<string, () => void> = {
    j: () => moveTo(n + 1),
    ArrowRight: () => moveTo(n + 1),
    k: () => moveTo(n - 1),
    ArrowLeft: () => moveTo(n - 1),
    J: () => moveTo(seek(shown, n, 1, ofTask)),
    K: () => moveTo(seek(shown, n, -1, ofTask)),
    n: () => moveTo(seek(shown, n, 1, seen)),
    N: () => moveTo(seek(shown, n, -1, seen)),
    x: () => lost !== undefined && moveTo(lost),
    Home: () => moveTo(0),
    End: () => moveTo(lengthOf(shown)),
    a: () => {
      allSteps.value = !allSteps.value
    },
    c: copyLink,
    '?': () => {
      help.value = !help.value
    },
    Escape: () => {
      help.value = false
    },
    '0': () => adjust({ on: undefined }),
  }
  const others = otherDesigns(shown)
  others.slice(0, 9).forEach((id, i) => {
    acts[String(i + 1)] = () => choose(id)
  })
  const act = acts[event.key]
  if (act === undefined) return
  event.preventDefault()
  act()
}

function otherDesigns({ answer }: Shown): string[] {
  return (hello.value?.designs ?? []).map((d) => d.id).filter((id) => id !== answer.own.design)
}

/** The same schedule on another design; the same one again takes it away. */
function choose(id: string): void {
  const on = route.value.on === id ? undefined : id
  location.hash = hashOf({ ...route.value, on })
}

function Head({ shown }: { shown: Shown }) {
  const { own, scenario, stale } = shown.answer
  const found = findingOf(own)
  const known = hindsight.value
  const total = own.trace.steps.length
  const sentence = hello.value?.findings.find((f) => f.id === found?.id)?.sentence
  return (
    <header class="verdict">
      <p class="where">
        <a href={hashOf({ screen: 'edit', name: scenario.name, own: shown.own })}>
          {scenario.name}
        </a>{' '}
        on <b>{own.design}</b>
      </p>
      <h1>{scenario.question}</h1>
      <p class="answer">
        <span class={`word ${found ? 'bad' : 'good'}`}>
          {found ? `✗ ${found.id}` : '✓ no finding'}
        </span>{' '}
        {found ? `${found.message}.` : 'This execution ends well.'}
        {sentence !== undefined && <span class="dim"> {sentence}</span>}
      </p>
      {known !== undefined && (
        <p class="hindsight">
          {known.pointOfNoReturn === 0 ? (
            'Every execution of this scenario shows it.'
          ) : (
            <>
              {known.pointOfNoReturn === total ? 'Until its last step' : 'Until '}
              {known.pointOfNoReturn !== total && (
                <button type="button" class="link" onClick={() => moveTo(known.pointOfNoReturn)}>
                  step {known.pointOfNoReturn} of {total}
                </button>
              )}{' '}
              it could have ended well.
            </>
          )}
          {known.prevention !== undefined && (
            <> Prevented in every interleaving by {known.prevention}.</>
          )}
        </p>
      )}
      {stale && (
        <p class="notice" role="alert">
          The token was made from another version of the scenario or of the code; what you see is
          what this version does on the same schedule.
        </p>
      )}
      {own.divergence !== undefined && (
        <p class="notice" role="alert">
          Step {own.divergence.step}: the token does not fit any more. {own.divergence.text}.
        </p>
      )}
    </header>
  )
}

function Designs({ shown }: { shown: Shown }) {
  const { own, other } = shown.answer
  const parts = alignment.value?.parting
  return (
    <section class="designs" aria-label="the same schedule on another design">
      <span>Same schedule on</span>
      {otherDesigns(shown).map((id, i) => (
        <button
          type="button"
          key={id}
          aria-pressed={route.value.on === id}
          onClick={() => choose(id)}
          title={`${i + 1}`}
        >
          {id}
        </button>
      ))}
      {other !== undefined && (
        <p class="parting" role="status">
          {parts === undefined ? (
            `${own.design} and ${other.design} do the same here.`
          ) : (
            <>
              They part at{' '}
              <button type="button" class="link" onClick={() => moveTo(parts.step)}>
                step {parts.step}
              </button>
              , {parts.task}: {own.design}{' '}
              <code>{arrows(parts.here?.text ?? 'does nothing more')}</code>, {other.design}{' '}
              <code>{arrows(parts.there?.text ?? 'does nothing more')}</code>.{' '}
            </>
          )}
          {endOf(shown)}
        </p>
      )}
    </section>
  )
}

/** How the other side ends. */
function endOf({ answer }: Shown): string {
  const { other } = answer
  if (other === undefined) return ''
  const found = findingOf(other)
  if (found !== undefined) return `${other.design} ends with ${found.id}.`
  const task = alignment.value?.parting?.task
  const returned = other.trace.steps.filter((s) => s.task === task).flatMap((s) => s.returned)
  const last = returned.at(-1)
  return `${other.design} ends without a finding${last === undefined ? '' : `: ${last}`}.`
}

function Scrubber({ shown }: { shown: Shown }) {
  const n = cursor.value
  const total = lengthOf(shown)
  const lost = hindsight.value?.pointOfNoReturn
  const part = alignment.value?.parting?.step
  const gone = lost !== undefined && n >= lost
  const at = (step: number): { left: string } => ({ left: `${(step / Math.max(1, total)) * 100}%` })
  const button = (label: string, sign: string, to: number) => (
    <button type="button" aria-label={label} title={label} onClick={() => moveTo(to)}>
      {sign}
    </button>
  )
  const seen = (k: number): boolean => {
    const s = stepOf(shown, k)
    return s !== undefined && isSeen(s)
  }
  return (
    <section class="scrubber" aria-label="steps">
      <div class="buttons">
        {button('first', '|‹', 0)}
        {button('change before', '«', seek(shown, n, -1, seen))}
        {button('step before', '‹', n - 1)}
        {button('next step', '›', n + 1)}
        {button('next change', '»', seek(shown, n, 1, seen))}
        {button('last', '›|', total)}
      </div>
      <div class="track">
        <input
          type="range"
          min="0"
          max={total}
          value={n}
          aria-label="step"
          aria-valuetext={said(shown)}
          onInput={(e) => moveTo(Number((e.target as HTMLInputElement).value))}
        />
        {lost !== undefined && lost > 0 && (
          <span class="flag lost" style={at(lost)} title={`point of no return: step ${lost}`}>
            ◆
          </span>
        )}
        {part !== undefined && (
          <span class="flag part" style={at(part)} title={`the designs part: step ${part}`}>
            ≠
          </span>
        )}
      </div>
      <output>
        {n} / {total}
      </output>
      {lost !== undefined && (
        <span class={`fate ${gone ? 'lost' : 'open'}`}>
          {gone ? '◆ can’t end well any more' : '○ can still end well'}
        </span>
      )}
    </section>
  )
}

/** The present step in a sentence, for who listens. */
function said(shown: Shown): string {
  const n = cursor.value
  const s = stepOf(shown, n)
  if (s === undefined) return 'step 0: the set-up has run'
  const e = effectsOf(s, shown.answer.own.pictured.names)
  const what = [
    ...e.changes,
    ...e.returned,
    ...e.findings.map((f) => `${f.id}: ${f.message}`),
  ].join(', ')
  return `step ${n}: ${s.task} in ${s.stack[0]?.cName ?? 'user mode'}${what === '' ? '' : `: ${what}`}`
}

function Tasks({ shown }: { shown: Shown }) {
  const { pictures } = shown.answer.own.pictured
  const now = pictures[Math.min(cursor.value, pictures.length - 1)]
  const { tasks: names } = shown.answer.own.trace
  return (
    <ul class="tasks" aria-label="tasks">
      {now?.tasks
        .filter((t) => t.state !== 'later')
        .map((t) => (
          <li key={t.name} class={t.state}>
            <b class={`lane${names.indexOf(t.name) % 4}`}>{t.name}</b> {t.state}
            {t.waitsFor !== undefined && ` for ${t.waitsFor}`}
            {t.holds.length > 0 && <span class="dim"> holds {t.holds.join(', ')}</span>}
          </li>
        ))}
    </ul>
  )
}

function Help() {
  return (
    <dialog open class="help" aria-label="keys">
      <h2>Keys</h2>
      <dl>
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <button
        type="button"
        onClick={() => {
          help.value = false
        }}
      >
        Close
      </button>
    </dialog>
  )
}

export function Story() {
  const shown = story.value
  useEffect(() => {
    if (shown === undefined) return
    const listen = (e: KeyboardEvent): void => onKey(e, shown)
    addEventListener('keydown', listen)
    return () => removeEventListener('keydown', listen)
  }, [shown])
  if (trouble.value !== undefined) {
    return (
      <section class="page">
        <h1>This link can’t be shown</h1>
        <p class="notice" role="alert">
          {trouble.value}
        </p>
        <p>
          <a href="#matrix">All scenarios and designs</a>
        </p>
      </section>
    )
  }
  if (shown === undefined) return <p class="page dim">Replaying…</p>
  const { own, other } = shown.answer
  const n = cursor.value
  const lost = hindsight.value?.pointOfNoReturn
  const apart = alignment.value
  const none: ReadonlySet<number> = new Set()
  return (
    <article class={`story ${other === undefined ? 'one' : 'two'}`}>
      <Head shown={shown} />
      <Designs shown={shown} />
      <Scrubber shown={shown} />
      <div class="panes">
        <div class="left">
          <Lanes
            told={own}
            step={n}
            lost={lost}
            differs={apart?.here ?? none}
            all={allSteps.value}
          />
          {other !== undefined && (
            <Lanes
              told={other}
              step={n}
              lost={undefined}
              differs={apart?.there ?? none}
              all={allSteps.value}
            />
          )}
          <label class="all">
            <input
              type="checkbox"
              checked={allSteps.value}
              onChange={() => {
                allSteps.value = !allSteps.value
              }}
            />{' '}
            all steps
          </label>
        </div>
        <div class="right">
          <MemoryMap told={own} step={n} />
          {other !== undefined && <MemoryMap told={other} step={n} />}
          <Tasks shown={shown} />
          {other === undefined && <Stack told={own} step={n} />}
          <p class="legend dim">
            Solid: <Term>SPTE</Term> and <Term>page cache</Term>. Dotted: <Term>TLB</Term>. Dashed:
            a mapping that a judge objects to. Outlined: changed by this step. <Term>gfn</Term>{' '}
            <Term>pfn</Term> <Term>folio</Term> <Term>memslot</Term>
          </p>
        </div>
      </div>
      <Share shown={shown} />
      <p class="hidden" aria-live="polite">
        {said(shown)}
      </p>
      {help.value && <Help />}
    </article>
  )
}
