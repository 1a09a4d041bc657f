/** Going about in a story: the next step for which something holds, and a step in words. */
import { cursor, effectsOf, isSeen, lengthOf, type Shown } from './state.js'

/** The next step, or the one before, for which something holds; else the end in that direction. */
export function seek(
  shown: Shown,
  from: number,
  way: 1 | -1,
  wanted: (n: number) => boolean,
): number {
  for (let n = from + way; n > 0 && n <= lengthOf(shown); n += way) if (wanted(n)) return n
  return way > 0 ? lengthOf(shown) : 0
}

/** The steps of the side that has a step of this number. */
export function stepOf({ answer }: Shown, n: number) {
  return answer.own.trace.steps[n - 1] ?? answer.other?.trace.steps[n - 1]
}

/** Does a step show anything? */
export function seenIn(shown: Shown): (k: number) => boolean {
  return (k) => {
    const s = stepOf(shown, k)
    return s !== undefined && isSeen(s)
  }
}

/** The present step in a sentence, for who listens. */
export function said(shown: Shown): string {
  const n = cursor.value
  const s = stepOf(shown, n)
  if (s === undefined) return 'step 0: the set-up has run'
  const e = effectsOf(s, shown.answer.own.pictured.names)
  const what = [
    ...e.changes,
    ...e.returned,
    ...e.findings.map((f) => `${f.id}: ${f.message}`),
  ].join(', ')
  return `step ${n}: ${s.task} in ${s.stack[0]?.cName ?? 'user mode'}${what === '' ? '' : `: ${what}`}`
}
