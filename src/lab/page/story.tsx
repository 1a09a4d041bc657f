/** A finding: what was asked, what went wrong, and the way there. */
import { useLayoutEffect } from 'preact/hooks'
import { Designs } from './designs.js'
import { allSteps, Help, onKey } from './keys.js'
import { Lanes } from './lanes.js'
import { MemoryMap } from './map.js'
import { AskToRun } from './own-design.js'
import { Scrubber } from './scrubber.js'
import { Share } from './share.js'
import { Stack } from './stack.js'
import { alignment, asksToRun, cursor, hindsight, story, trouble } from './state.js'
import { said } from './steps.js'
import { Tasks } from './tasks.js'
import { Term } from './term.js'
import { Verdict } from './verdict.js'

export function Story() {
  const shown = story.value
  // As soon as the story is there: not behind the next frame, which a hidden page never has.
  useLayoutEffect(() => {
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
  if (asksToRun.value !== undefined) return <AskToRun code={asksToRun.value} />
  if (shown === undefined) return <p class="page dim">Replaying…</p>
  const { own, other } = shown.answer
  const n = cursor.value
  const lost = hindsight.value?.pointOfNoReturn
  const apart = alignment.value
  const none: ReadonlySet<number> = new Set()
  return (
    <article class={`story ${other === undefined ? 'one' : 'two'}`}>
      <Verdict shown={shown} />
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
            <Term>pfn</Term> <Term>folio</Term> <Term>memslot</Term> <Term>private</Term>{' '}
            <Term>shared</Term> <Term>refs</Term> <Term>hole</Term>
            {own.pictured.pictures[0]?.frames.some((f) => f.owner !== undefined) && (
              <> On a frame’s edge: whose it is for the hardware.</>
            )}
          </p>
        </div>
      </div>
      <Share shown={shown} />
      <p class="hidden" aria-live="polite">
        {said(shown)}
      </p>
      <Help />
    </article>
  )
}
