/** The same schedule on another design, and where the two part. */
import { hashOf, route } from './route.js'
import { alignment, arrows, data, findingOf, moveTo, type Shown } from './state.js'

/** The other designs of the first matrix that has the story's own. */
export function otherDesigns({ answer }: Shown): string[] {
  const own = answer.own.design
  const all = data.value?.matrices ?? []
  const home = all.find((m) => m.designs.some((d) => d.id === own)) ?? all[0]
  return (home?.designs ?? []).map((d) => d.id).filter((id) => id !== own)
}

/** The same schedule on another design; the same one again takes it away. */
export function choose(id: string): void {
  const on = route.value.on === id ? undefined : id
  location.hash = hashOf({ ...route.value, on })
}

export function Designs({ shown }: { shown: Shown }) {
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
