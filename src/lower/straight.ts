/**
 * The third way to run kernel code: straight through, for a task that is alone in the machine. The
 * generator becomes a plain function: what it yields is only asked whether it could be waited for,
 * and what it calls runs to its end. No frame is kept, so nothing can be stopped in the middle.
 */
import ts from 'typescript'

interface Edit {
  readonly from: number
  readonly to: number
  readonly text: string
}

/** The text of the plain function. `rt` is the name of the run-time import. */
export function straight(body: ts.FunctionExpression, file: ts.SourceFile, rt: string): string {
  const star = body.asteriskToken as ts.AsteriskToken
  const edits: Edit[] = [{ from: star.getStart(file), to: star.getEnd(), text: '' }]
  const visit = (node: ts.Node): void => {
    if (ts.isYieldExpression(node) && node.expression !== undefined) {
      edits.push(...withoutYield(node, node.expression, file, rt))
    }
    ts.forEachChild(node, visit)
  }
  visit(body.body)
  return applied(file.text, body.getStart(file), body.getEnd(), edits)
}

/** `yield e` asks whether e can be had; `yield* f(a)` calls the plain function behind f. */
function withoutYield(
  node: ts.YieldExpression,
  inner: ts.Expression,
  file: ts.SourceFile,
  rt: string,
): Edit[] {
  const from = node.getStart(file)
  if (node.asteriskToken === undefined || !ts.isCallExpression(inner)) {
    const end = node.getEnd()
    return [
      { from, to: inner.getStart(file), text: `${rt}.pass(` },
      { from: end, to: end, text: ')' },
    ]
  }
  const callee = inner.expression
  const end = callee.getEnd()
  return [
    { from, to: callee.getStart(file), text: `${rt}.straightOf(` },
    { from: end, to: end, text: ')' },
  ]
}

function applied(source: string, start: number, end: number, edits: readonly Edit[]): string {
  const sorted = [...edits].sort((a, b) => a.from - b.from || a.to - b.to)
  const pieces: string[] = []
  let at = start
  for (const { from, to, text } of sorted) {
    pieces.push(source.slice(at, from), text)
    at = to
  }
  pieces.push(source.slice(at, end))
  return pieces.join('')
}
