/** An execution as a letter to a list: the question, what happened, and how to see it again. */
import type { Hindsight } from '../explore/tell/hindsight.js'
import type { Trace } from '../trace/events.js'
import { renderColumns } from './columns.js'
import { LETTER_WIDTH, PLAIN, tokenLines, wrap } from './paint.js'
import { quoted } from './quote.js'

/** A scenario, as far as a letter needs it. */
interface Subject {
  readonly question: string
  readonly text: string
}

export function renderLetter(
  trace: Trace,
  hindsight: Hindsight | undefined,
  { question, text }: Subject,
  token: string,
): string {
  const width = LETTER_WIDTH
  const found = trace.steps.flatMap((s) => s.findings)[0]
  const subject = found === undefined ? 'no finding' : found.id
  return [
    wrap(`${trace.design}: ${subject}`, width, ''),
    '',
    wrap(question, width, ''),
    '',
    ...(found === undefined ? [] : [wrap(`${found.message}.`, width, ''), '']),
    'The scenario:',
    '',
    quoted(text),
    '',
    renderColumns(trace, { paint: PLAIN, width }, hindsight),
    '',
    'To see it again:',
    '',
    '  npx restrictedmem replay - <<.',
    tokenLines(token, '', width),
    '.',
    '',
  ].join('\n')
}
