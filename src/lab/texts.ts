/**
 * Texts of the calls in which a task can stand. The page's workers have their numbers, `#n`, since
 * nothing on the screen shows them: they are needed when a story is given away (`tools/lab.mjs`).
 */
import type { Trace } from '../trace/events.js'

/** A trace as the command has it. A design of the user's has its texts with it. */
export function withTexts(trace: Trace, texts: readonly string[]): Trace {
  const whole = (text: string): string =>
    text.startsWith('#') ? (texts[Number(text.slice(1))] as string) : text
  const steps = trace.steps.map((s) => ({
    ...s,
    stack: s.stack.map((level) => ({ ...level, text: whole(level.text) })),
  }))
  return { ...trace, steps }
}
