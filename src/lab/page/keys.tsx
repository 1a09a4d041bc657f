/** The keys of a story, and the list of them. */
import { signal } from '@preact/signals'
import { choose, otherDesigns } from './designs.js'
import { adjust } from './route.js'
import { copyLink } from './share.js'
import { cursor, hindsight, lengthOf, moveTo, type Shown } from './state.js'
import { seek, seenIn, stepOf } from './steps.js'

export const allSteps = signal(false)
const help = signal(false)

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

export function onKey(event: KeyboardEvent, shown: Shown): void {
  const { target } = event
  const typing = target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
  if ((typing && (target as HTMLInputElement).type !== 'range') || event.ctrlKey || event.metaKey)
    return
  const n = cursor.value
  const task = stepOf(shown, n)?.task
  const ofTask = (k: number): boolean => stepOf(shown, k)?.task === task
  const seen = seenIn(shown)
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

export function Help() {
  if (!help.value) {
    return (
      <p class="keys">
        <button
          type="button"
          onClick={() => {
            help.value = true
          }}
        >
          Keys (?)
        </button>
      </p>
    )
  }
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
