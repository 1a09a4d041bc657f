/** Where the task stands: its call stack, and the line of the kernel function. */
import { useEffect, useState } from 'preact/hooks'
import type { Level } from '../../trace/events.js'
import type { Told } from '../protocol.js'
import { type Sources, shipped } from './shipped.js'
import { painted } from './state.js'
import { Explained } from './term.js'

const BEFORE = 7
const AFTER = 7

/** What the comment above a function says that it models. */
function modelOf(text: string, level: Level): string | undefined {
  const lines = text.split('\n').slice(0, level.line)
  const head = lines.findLastIndex((l) => l.includes(`${level.cName}(`))
  const comment = lines.slice(Math.max(0, head - 25), head + 1).join(' ')
  const found = [...comment.matchAll(/Models: (.*?)\.(?= |$)(?! *c )/g)].at(-1)?.[1]
  return found?.replace(/\s*\*\s+/g, ' ')
}

export function Stack({ told, step }: { told: Told; step: number }) {
  const [sources, setSources] = useState<Sources | undefined>(undefined)
  const [depth, setDepth] = useState(0)
  useEffect(() => {
    // After what can be seen at once.
    void painted().then(() => shipped('sources.json').then(setSources))
  }, [])
  useEffect(() => setDepth(0), [step])
  const s = told.trace.steps[step - 1]
  if (s === undefined) {
    return (
      <section class="stack">
        <h2>Source</h2>
        <p class="dim">
          Nothing has happened yet: the set-up has run, and the tasks stand at their first call.
        </p>
      </section>
    )
  }
  const level = s.stack[depth] ?? s.stack[0]
  const text = level && sources?.[level.file]
  const model = level && text ? modelOf(text, level) : undefined
  const from = Math.max(0, (level?.line ?? 1) - 1 - BEFORE)
  const lines = text?.split('\n').slice(from, (level?.line ?? 1) + AFTER) ?? []
  return (
    <section class="stack">
      <h2>
        {s.task} <span class="dim">in</span> {s.operation || 'user mode'}
      </h2>
      <ol class="crumbs" aria-label="call stack, outermost first">
        {[...s.stack].reverse().map((l, i, all) => {
          const d = all.length - 1 - i
          return (
            <li key={d}>
              <button type="button" aria-pressed={d === depth} onClick={() => setDepth(d)}>
                {l.cName}
              </button>
            </li>
          )
        })}
      </ol>
      {level !== undefined && (
        <p class="place">
          {level.file}:{level.line}
          {model !== undefined && <span class="dim"> · models {model}</span>}
        </p>
      )}
      {lines.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
        <pre tabIndex={0}>
          {lines.map((l, i) => {
            const n = from + i + 1
            return (
              <div class={n === level?.line ? 'here' : ''} key={n}>
                <span class="n">{n}</span>
                <Explained text={l || ' '} />
              </div>
            )
          })}
        </pre>
      )}
    </section>
  )
}
