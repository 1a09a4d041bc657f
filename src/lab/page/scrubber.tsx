/** Where one is in a story: buttons, a slider with the point of no return, and what is lost. */
import { alignment, cursor, hindsight, lengthOf, moveTo, type Shown } from './state.js'
import { said, seek, seenIn } from './steps.js'

export function Scrubber({ shown }: { shown: Shown }) {
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
  const seen = seenIn(shown)
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
