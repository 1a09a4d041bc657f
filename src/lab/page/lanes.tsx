/** One lane for each task: what its steps changed, returned and were found to do. */
import { Fragment } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { functionText } from '../../report/columns.js'
import type { TraceStep } from '../../trace/events.js'
import type { Told } from '../protocol.js'
import { effectsOf, isSeen, moveTo } from './state.js'
import { Explained } from './term.js'

interface Row {
  readonly step: TraceStep
  /** The operation begins here, as far as can be seen. */
  readonly opens: boolean
}

function rowsOf({ trace }: Told, all: boolean): Row[] {
  const begun = new Set<string>()
  return trace.steps.flatMap((step) => {
    if (!all && (!isSeen(step) || (step.task === 'exit' && step.findings.length === 0))) return []
    const key = `${step.task} ${step.operation}`
    const opens = step.operation !== '' && !begun.has(key)
    begun.add(key)
    return [{ step, opens }]
  })
}

/** A name that may go on in the next line, behind an underscore. */
function Broken({ name }: { name: string }) {
  return [...name.matchAll(/_*[^_]+_*/g)].map((part) => (
    <Fragment key={part.index}>
      {part[0]}
      <wbr />
    </Fragment>
  ))
}

export function Lanes({
  told,
  step,
  lost,
  differs,
  all,
}: {
  told: Told
  step: number
  lost: number | undefined
  differs: ReadonlySet<number>
  all: boolean
}) {
  const { trace } = told
  const rows = rowsOf(told, all)
  const tasks = trace.tasks.filter((t) => rows.some((r) => r.step.task === t))
  const box = useRef<HTMLElement>(null)
  const current = rows.filter((r) => r.step.n <= step).at(-1)?.step.n ?? 0
  useEffect(() => {
    const row = box.current?.querySelector<HTMLElement>('tr[aria-current]')
    if (row === null || row === undefined || box.current === null) return
    const sheet = box.current
    const top = row.offsetTop - sheet.clientHeight / 2
    sheet.scrollTo({ top })
  }, [current])
  const line = (n: number) => (
    <tr class="lost" key="lost">
      <td colSpan={tasks.length + 2}>◆ after step {n} every way leads to it</td>
    </tr>
  )
  let drawn = lost === undefined || lost === 0
  return (
    <section class="lanes">
      <h2>
        {told.design}
        {told.followed < trace.steps.length && (
          <span class="dim"> · its own steps after {told.followed}</span>
        )}
      </h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <section class="sheet" ref={box} tabIndex={0} aria-label={`steps on ${told.design}`}>
        <table>
          <thead>
            <tr>
              <th scope="col">
                <span class="hidden">step</span>
              </th>
              {tasks.map((t, i) => (
                <th scope="col" class={`lane${i % 4}`} key={t}>
                  {t}
                </th>
              ))}
              <th scope="col">changed</th>
            </tr>
          </thead>
          <tbody>
            {rows.flatMap(({ step: s, opens }) => {
              const e = effectsOf(s, told.pictured.names)
              const now = s.n === current
              const before = !drawn && lost !== undefined && s.n > lost ? [line(lost)] : []
              if (before.length > 0) drawn = true
              const named = s.stack.length === 0 ? s.operation || 'start' : functionText(s)
              return [
                ...before,
                <tr
                  key={s.n}
                  class={`${s.n > step ? 'later' : ''} ${differs.has(s.n) ? 'differs' : ''} ${e.findings.length > 0 ? 'finding' : ''}`}
                  aria-current={now ? 'step' : undefined}
                  onClick={() => moveTo(s.n)}
                >
                  <td class="n">
                    <button type="button" onClick={() => moveTo(s.n)} aria-label={`step ${s.n}`}>
                      {s.n}
                    </button>
                  </td>
                  {tasks.map((t, i) => (
                    <td class={`lane lane${i % 4} ${t === s.task ? 'on' : ''}`} key={t}>
                      {t === s.task && (
                        <>
                          {opens && (
                            <span class="operation">
                              <Explained text={s.operation} />
                            </span>
                          )}
                          <code>
                            {s.preempts && <span title="preempts another task">⇄ </span>}
                            <Broken name={named} />
                          </code>
                          {e.returned.map((r) => (
                            <span class="returned" key={r}>
                              = {r.split(' = ').at(-1)}
                            </span>
                          ))}
                        </>
                      )}
                    </td>
                  ))}
                  <td class="changes">
                    {e.changes.map((c) => (
                      <span key={c}>
                        <Explained text={c} />
                      </span>
                    ))}
                    {e.findings.map((f) => (
                      <strong key={f.id}>
                        ✗ {f.id}: <Explained text={f.message} />
                      </strong>
                    ))}
                  </td>
                </tr>,
              ]
            })}
          </tbody>
        </table>
      </section>
    </section>
  )
}
