/** The documentation, and a tour of the mail. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { hashOf, route } from './route.js'
import { type Doc, shipped } from './shipped.js'
import { follow, verdictOn } from './state.js'
import { Explained, explainIn } from './term.js'
import { type Stop, TOUR } from './tour.js'

function tokenOf({ scenario, design, finding }: Stop): string | undefined {
  const v = verdictOn(scenario, design)
  const found = v?.findings.find((f) => f.id === finding) ?? v?.findings[0]
  return found?.token ?? v?.outcomes[0]?.token
}

export function Tour() {
  useEffect(() => void follow('main'), [])
  return (
    <section class="page tour">
      <h1>Ten steps through one mail</h1>
      <p class="lead">
        “Somewhat dubious, but I think it should be safe”, said the thread about pages that KVM maps
        without a reference. Each step leads to an execution that you can walk through; come back
        with your browser’s Back.
      </p>
      <ol>
        {TOUR.map((stop) => {
          const token = tokenOf(stop)
          return (
            <li key={stop.title}>
              <h2>{stop.title}</h2>
              <p>
                <Explained text={stop.text} />
              </p>
              <p>
                {token === undefined ? (
                  <span class="dim">This cell has not been checked yet.</span>
                ) : (
                  <a href={hashOf({ token, on: stop.on, step: stop.step })}>
                    See it
                    {stop.on === undefined
                      ? ` on ${stop.design}`
                      : ` on ${stop.design} and ${stop.on}`}
                  </a>
                )}
              </p>
            </li>
          )
        })}
      </ol>
    </section>
  )
}

function useDocs(): readonly Doc[] {
  const [docs, setDocs] = useState<readonly Doc[]>([])
  useEffect(() => {
    void shipped('docs.json').then(setDocs)
  }, [])
  return docs
}

export function Learn() {
  const docs = useDocs()
  return (
    <section class="page learn">
      <h1>Learn</h1>
      <p class="lead">
        Begin with <a href="#tour">the tour</a>: ten steps, each an execution. Then change a
        scenario in <a href="#edit">the editor</a>. What a word means is in{' '}
        <a href="#glossary">the glossary</a>, and shows where the word is underlined.
      </p>
      <h2>Pages</h2>
      <ul class="docs">
        {docs.map((d) => (
          <li key={d.name}>
            <a href={hashOf({ screen: 'docs', name: d.name })}>{d.title}</a>
          </li>
        ))}
      </ul>
    </section>
  )
}

export function DocPage() {
  const docs = useDocs()
  const doc = docs.find((d) => d.name === route.value.name)
  const article = useRef<HTMLElement>(null)
  useEffect(() => {
    if (article.current !== null) explainIn(article.current)
  }, [doc])
  if (doc === undefined) {
    if (docs.length === 0) return <p class="page dim">Loading…</p>
    return <p class="page docpage">There is no such page.</p>
  }
  // What is put in here was made by the build from the project's own pages, and from nothing else.
  return (
    <article
      key={doc.name}
      class="page prose docpage"
      ref={article}
      dangerouslySetInnerHTML={{ __html: doc.html }}
    />
  )
}
