/**
 * The two slips that TypeScript lets pass: a kernel function that is called without `yield*` never
 * runs, and an access that is announced without `yield` is not announced.
 */
import ts from 'typescript'
import type { Problem } from './flow.js'

/** Calls in a kernel function's body whose `yield` is missing. */
export function forgottenYields(body: ts.Node, checker: ts.TypeChecker): Problem[] {
  const problems: Problem[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const reason = slip(node, checker)
      if (reason !== undefined) problems.push({ pos: node.getStart(), reason })
    }
    ts.forEachChild(node, visit)
  }
  visit(body)
  return problems
}

function slip(call: ts.CallExpression, checker: ts.TypeChecker): string | undefined {
  const type = checker.getTypeAtLocation(call)
  const name = type.aliasSymbol?.name ?? type.symbol?.name
  const parent = call.parent
  const yielded = ts.isYieldExpression(parent) ? parent : undefined
  if (name === 'Generator' || name === 'Kernel') {
    if (yielded?.asteriskToken !== undefined) return undefined
    return 'a kernel function is called with yield*; without it, it never runs'
  }
  if (name === 'Effect' && yielded === undefined) {
    return 'an access is announced by yield; without it, this does nothing'
  }
  return undefined
}
