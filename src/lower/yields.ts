/** Questions about a syntax tree: is it left, or left off, in the middle? */
import ts from 'typescript'

/** Does it contain a yield of its own? */
export function hasYield(node: ts.Node): boolean {
  if (ts.isYieldExpression(node)) return true
  if (ts.isFunctionLike(node)) return false
  return ts.forEachChild(node, (c) => hasYield(c)) ?? false
}

/** Does a statement contain a yield, or a jump or return that leaves it? */
export function mustSplit(node: ts.Node): boolean {
  if (hasYield(node)) return true
  return leaves(node, 0, 0)
}

function leaves(node: ts.Node, loops: number, switches: number): boolean {
  if (ts.isReturnStatement(node)) return true
  if (ts.isFunctionLike(node)) return false
  if (ts.isBreakStatement(node)) return node.label !== undefined || loops + switches === 0
  if (ts.isContinueStatement(node)) return node.label !== undefined || loops === 0
  const inLoop = ts.isIterationStatement(node, false) ? 1 : 0
  const inSwitch = ts.isSwitchStatement(node) ? 1 : 0
  return ts.forEachChild(node, (c) => leaves(c, loops + inLoop, switches + inSwitch)) ?? false
}
