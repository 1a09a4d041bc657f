/**
 * The slips that TypeScript lets pass: a kernel function that is called without `yield*` never runs,
 * an access that is announced without `yield` is not announced, and a generator that fn() has not
 * made can't be called by lowered code.
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

function plainCallee({ expression }: ts.CallExpression, checker: ts.TypeChecker) {
  const declared = checker.getSymbolAtLocation(expression)?.valueDeclaration
  const made =
    declared !== undefined && ts.isVariableDeclaration(declared) ? declared.initializer : declared
  if (made === undefined) return undefined
  const isPlain = ts.isFunctionExpression(made) || ts.isFunctionDeclaration(made)
  return isPlain ? 'a kernel function is made by fn(); this generator is not' : undefined
}

function slip(call: ts.CallExpression, checker: ts.TypeChecker): string | undefined {
  const type = checker.getTypeAtLocation(call)
  const name = type.aliasSymbol?.name ?? type.symbol?.name
  const parent = call.parent
  const yielded = ts.isYieldExpression(parent) ? parent : undefined
  if (name === 'Generator' || name === 'Kernel') {
    if (yielded?.asteriskToken !== undefined) return plainCallee(call, checker)
    return 'a kernel function is called with yield*; without it, it never runs'
  }
  if (name === 'Effect' && yielded === undefined) {
    return 'an access is announced by yield; without it, this does nothing'
  }
  return undefined
}
