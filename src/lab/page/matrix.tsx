/** All scenarios on all designs, with the verdicts that came with the page. */
import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { type CellVerdict, factsOf, type MatrixHead, type ScenarioText } from '../protocol.js'
import { hashOf, route } from './route.js'
import { data, follow, matrices, pending, words } from './state.js'
import { Explained } from './term.js'
import { ask, stopSearching } from './workers.js'

/** What a check in this browser said of a cell, and whether it is what came with the page. */
const again = signal<ReadonlyMap<string, 'running' | 'same' | 'differs'>>(new Map())
const running = signal(false)
const wanted = signal('')

const keyOf = (scenario: string, design: string): string => `${scenario} ${design}`

function shortOf(v: CellVerdict): string {
  if (v.verdict !== 'finding') {
    const words = { clean: 'clean', skipped: '–', vacuous: 'vacuous', inconclusive: 'open' }
    return v.verdict === 'failed' ? 'failed' : words[v.verdict]
  }
  const first = v.findings.filter((f) => f.first)
  const short = words.value.findings.find((f) => f.id === first[0]?.id)?.short ?? first[0]?.id
  return `${short}${first.length > 1 ? `+${first.length - 1}` : ''}`
}

function titleOf(v: CellVerdict): string {
  const found = v.findings.map((f) => f.id).join(', ')
  const how = `${v.proof ?? ''}: ${v.states.toLocaleString('en')} states, ${v.executions.toLocaleString('en')} executions`
  return [found, v.proof === undefined ? v.reason : how].filter((t) => t).join(' — ')
}

/** What a cell leads to: its first finding, or an outcome of it. */
function storyOf(v: CellVerdict): string | undefined {
  return v.findings[0]?.token ?? v.outcomes[0]?.token
}

function Cell({ v, design }: { v: CellVerdict | undefined; design: string }) {
  if (v === undefined) return <td class="none" aria-label={`${design}: not checked yet`} />
  const token = storyOf(v)
  const mark = again.value.get(keyOf(v.scenario, v.design))
  const word = `${v.verdict === 'finding' ? '✗ ' : v.verdict === 'clean' ? '✓ ' : ''}${shortOf(v)}`
  return (
    <td class={`${v.verdict} ${v.asExpected === false ? 'wrong' : ''}`}>
      {token === undefined ? (
        <span title={titleOf(v)}>{word}</span>
      ) : (
        <a href={hashOf({ token })} title={titleOf(v)}>
          {word}
        </a>
      )}
      {v.asExpected === false && <span title="not what the scenario expects"> !</span>}
      {mark !== undefined && (
        <span class={`again ${mark}`}>
          {mark === 'running' ? ' …' : mark === 'same' ? ' =' : ' ≠'}
        </span>
      )}
    </td>
  )
}

/** Check every cell of these scenarios again, in this browser, one after the other. */
async function checkAgain(
  scenarios: readonly ScenarioText[],
  cells: readonly CellVerdict[],
): Promise<void> {
  running.value = true
  for (const s of scenarios) {
    for (const v of cells.filter((x) => x.scenario === s.name)) {
      if (!running.value) return
      if (v.proof === undefined) continue
      const key = keyOf(v.scenario, v.design)
      again.value = new Map(again.value).set(key, 'running')
      const request = { kind: 'check', text: s.text, design: v.design, code: undefined } as const
      const own = await ask('search', request)
      again.value = new Map(again.value).set(key, factsOf(own) === factsOf(v) ? 'same' : 'differs')
    }
  }
  running.value = false
}

/** The tables that there are: designs alone, and what each machine makes of them. */
function Tabs({ all, shown }: { all: readonly MatrixHead[]; shown: string }) {
  return (
    <nav class="tabs" aria-label="tables">
      {all.map(({ id, title }) => (
        <a
          key={id}
          href={hashOf({ screen: 'matrix', name: id === 'main' ? '' : id })}
          aria-current={id === shown ? 'page' : undefined}
        >
          {title}
        </a>
      ))}
    </nav>
  )
}

export function Matrix() {
  const shipped = data.value
  const all = shipped?.matrices ?? []
  const matrix = all.find((m) => m.id === (route.value.name || 'main')) ?? all[0]
  useEffect(() => {
    if (matrix !== undefined) void follow(matrix.id)
  }, [matrix])
  if (shipped === undefined || matrix === undefined) return <p class="page dim">Loading…</p>
  const { designs } = matrix
  const word = wanted.value.trim().toLowerCase()
  const shown = shipped.scenarios.filter(
    (s) =>
      matrix.scenarios.includes(s.name) &&
      (word === '' || `${s.name} ${s.question}`.toLowerCase().includes(word)),
  )
  const cells = matrices.value[matrix.id] ?? []
  const byCell = new Map(cells.map((v) => [keyOf(v.scenario, v.design), v]))
  const areas = [...new Set(shown.map((s) => s.name.split('/')[0] as string))]
  const marks = [...again.value.values()]
  const same = marks.filter((m) => m === 'same').length
  const differs = marks.filter((m) => m === 'differs').length
  const states = cells.reduce((sum, v) => sum + v.states, 0)
  const open = pending.value[matrix.id] ?? 0
  return (
    <section class="page matrix">
      <h1>Does guest-private memory survive?</h1>
      <p class="lead">
        Each row is a question, each column a design. <b class="good">✓ clean</b>: every
        interleaving was explored, and nothing was found. <b class="bad">✗</b>: a finding, with the
        execution that shows it. Every cell leads to its story.
      </p>
      <Tabs all={all} shown={matrix.id} />
      <div class="bar">
        <input
          type="search"
          placeholder="filter: compaction, poison, punch …"
          aria-label="filter scenarios"
          value={wanted.value}
          onInput={(e) => {
            wanted.value = (e.target as HTMLInputElement).value
          }}
        />
        <button
          type="button"
          onClick={() => {
            if (!running.value) void checkAgain(shown, cells)
            else {
              running.value = false
              stopSearching()
            }
          }}
        >
          {running.value ? 'Stop' : 'Check again here'}
        </button>
        <span role="status">
          {marks.length > 0 &&
            `${same} the same in this browser${differs > 0 ? `, ${differs} differ` : ''}`}
        </span>
        <span class="dim facts">
          {cells.length} verdicts of build <code>{shipped.code.slice(0, 8)}</code>,{' '}
          {states.toLocaleString('en')} states explored
          {open > 0 && ` · ${open} cells are being checked`}
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls on narrow screens */}
      <section class="sheet" tabIndex={0} aria-label="verdicts">
        <table>
          <thead>
            <tr>
              <th scope="col">scenario</th>
              {designs.map((d) => (
                <th scope="col" key={d.id} title={d.summary}>
                  {d.id}
                </th>
              ))}
            </tr>
          </thead>
          {areas.map((area) => (
            <tbody key={area}>
              <tr class="area">
                <th scope="rowgroup" colSpan={designs.length + 1}>
                  {area}
                </th>
              </tr>
              {shown
                .filter((s) => s.name.startsWith(`${area}/`))
                .map((s) => (
                  <tr key={s.name}>
                    <th scope="row">
                      <a href={hashOf({ screen: 'edit', name: s.name })}>{s.name.split('/')[1]}</a>
                      <small>
                        <Explained text={s.question} />
                      </small>
                    </th>
                    {designs.map((d) => (
                      <Cell key={d.id} v={byCell.get(keyOf(s.name, d.id))} design={d.id} />
                    ))}
                  </tr>
                ))}
            </tbody>
          ))}
        </table>
      </section>
      {shown.length === 0 && (
        <p class="dim" role="status">
          No scenario speaks of “{wanted.value}”.
        </p>
      )}
    </section>
  )
}
