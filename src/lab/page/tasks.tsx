/** The tasks: who waits for what, and who holds which locks. */

import { cursor, type Shown } from './state.js'
import { Explained } from './term.js'

export function Tasks({ shown }: { shown: Shown }) {
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
            {t.waitsFor !== undefined && <Explained text={` for ${t.waitsFor}`} />}
            {t.holds.length > 0 && (
              <span class="dim">
                <Explained text={` holds ${t.holds.join(', ')}`} />
              </span>
            )}
          </li>
        ))}
    </ul>
  )
}
