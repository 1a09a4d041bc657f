/** Every word that is explained somewhere: of the field, of the memory map, of findings. */
import { useEffect, useRef } from 'preact/hooks'
import { hashOf, route } from './route.js'
import { words } from './state.js'
import { MAP_TERMS, TERMS } from './terms.js'

interface Entry {
  readonly term: string
  readonly meaning: string
}

const entriesOf = (terms: Readonly<Record<string, string>>): Entry[] =>
  Object.entries(terms)
    .map(([term, meaning]) => ({ term, meaning }))
    .sort((a, b) => (a.term.toLowerCase() < b.term.toLowerCase() ? -1 : 1))

function Words({ title, entries }: { title: string; entries: readonly Entry[] }) {
  const { name } = route.value
  const here = useRef<HTMLDivElement>(null)
  useEffect(() => here.current?.scrollIntoView({ block: 'center' }), [name])
  return (
    <section>
      <h2>{title}</h2>
      <dl class="terms">
        {entries.map(({ term, meaning }) => (
          <div
            key={term}
            ref={term === name ? here : null}
            class={term === name ? 'wanted' : undefined}
          >
            <dt>
              <a href={hashOf({ screen: 'glossary', name: term })}>{term}</a>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

export function Glossary() {
  const findings = words.value.findings.map(({ id, sentence }) => ({ term: id, meaning: sentence }))
  return (
    <section class="page glossary">
      <h1>Glossary</h1>
      <p class="lead">
        Words of the field, as they are used here. Words of this project’s own are on{' '}
        <a href="#docs/glossary">a page of the documentation</a>.
      </p>
      <Words title="The kernel, guests and hardware" entries={entriesOf(TERMS)} />
      <Words title="In the memory map" entries={entriesOf(MAP_TERMS)} />
      <Words title="Findings" entries={findings} />
    </section>
  )
}
