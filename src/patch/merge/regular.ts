/**
 * The model's function as a merge wants it: every body in braces, so that a new statement stands
 * where its neighbour does; and, where C has an `if`, no `?:` that says the same.
 */
import ts from 'typescript'

const PREFIX = 'const f = '

/** A function expression, as a file of its own. */
export function functionIn(source: string): {
  file: ts.SourceFile
  f: ts.FunctionExpression | undefined
} {
  const file = ts.createSourceFile('m.ts', PREFIX + source, ts.ScriptTarget.ES2022, true)
  const [s] = file.statements
  const f =
    s && ts.isVariableStatement(s) ? s.declarationList.declarations[0]?.initializer : undefined
  return { file, f: f && ts.isFunctionExpression(f) ? f : undefined }
}

/** The text of such a file without what makes it one. */
export function sourceIn(text: string): string {
  return text.slice(PREFIX.length)
}

/** The same function; `split` also makes branches of what is chosen with `?:`. */
export function regular(source: string, split: boolean): string {
  let text = source
  for (;;) {
    const { file, f } = functionIn(text)
    const place = f === undefined ? undefined : firstPlace(f.body, file, split)
    if (place === undefined) return text
    const [from, to, by] = place
    text = sourceIn(file.text.slice(0, from) + by + file.text.slice(to))
  }
}

type Place = readonly [from: number, to: number, by: string]

function firstPlace(node: ts.Node, file: ts.SourceFile, split: boolean): Place | undefined {
  const here = unbraced(node, file) ?? (split ? chosen(node, file) : undefined)
  return here ?? ts.forEachChild(node, (child) => firstPlace(child, file, split))
}

function unbraced(node: ts.Node, file: ts.SourceFile): Place | undefined {
  const bodies = ts.isIfStatement(node)
    ? [node.thenStatement, node.elseStatement]
    : ts.isIterationStatement(node, false)
      ? [node.statement]
      : []
  const bare = bodies.find((b) => b !== undefined && !ts.isBlock(b) && !ts.isIfStatement(b))
  const then = ts.isIfStatement(node) && ts.isIfStatement(node.thenStatement)
  const body = then ? node.thenStatement : bare
  if (body === undefined) return undefined
  return [body.getStart(file), body.getEnd(), `{\n${body.getText(file)}\n}`]
}

/** `return c ? a : b` and `x = c ? a : b`. */
function chosen(node: ts.Node, file: ts.SourceFile): Place | undefined {
  const place = (by: string): Place => [node.getStart(file), node.getEnd(), by]
  if (ts.isReturnStatement(node)) {
    const c = choiceIn(node.expression, file)
    return c && place(`if (${c.test}) {\nreturn ${c.yes}\n}\nreturn ${c.no}`)
  }
  if (!ts.isExpressionStatement(node) || !ts.isBinaryExpression(node.expression)) return undefined
  const { left, operatorToken, right } = node.expression
  if (operatorToken.kind !== ts.SyntaxKind.EqualsToken || !ts.isIdentifier(left)) return undefined
  const c = choiceIn(right, file)
  return (
    c && place(`if (${c.test}) {\n${left.text} = ${c.yes}\n} else {\n${left.text} = ${c.no}\n}`)
  )
}

function choiceIn(
  e: ts.Expression | undefined,
  file: ts.SourceFile,
): { test: string; yes: string; no: string } | undefined {
  if (e === undefined || !ts.isConditionalExpression(e)) return undefined
  const bare = (x: ts.Expression): ts.Expression =>
    ts.isParenthesizedExpression(x) ? x.expression : x
  return {
    test: bare(e.condition).getText(file),
    yes: e.whenTrue.getText(file),
    no: e.whenFalse.getText(file),
  }
}
