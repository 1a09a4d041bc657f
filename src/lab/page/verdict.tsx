/** What was asked, and what was found. */
import { hashOf } from './route.js'
import { findingOf, hindsight, moveTo, type Shown, words } from './state.js'
import { Explained } from './term.js'

export function Verdict({ shown }: { shown: Shown }) {
  const { own, scenario, stale } = shown.answer
  const found = findingOf(own)
  const known = hindsight.value
  const total = own.trace.steps.length
  const sentence = words.value.findings.find((f) => f.id === found?.id)?.sentence
  return (
    <header class="verdict">
      <p class="where">
        <a href={hashOf({ screen: 'edit', name: scenario.name, own: shown.own })}>
          {scenario.name}
        </a>{' '}
        on <b>{own.design}</b>
      </p>
      <h1>
        <Explained text={scenario.question} />
      </h1>
      <p class="answer">
        <span class={`word ${found ? 'bad' : 'good'}`}>
          {found ? `✗ ${found.id}` : '✓ no finding'}
        </span>{' '}
        {found ? <Explained text={`${found.message}.`} /> : 'This execution ends well.'}
        {sentence !== undefined && (
          <span class="dim">
            {' '}
            <Explained text={sentence} />
          </span>
        )}
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
