/** The marks that kernel code declares: who calls `mark()` with what, as the compiler sees it. */
import { relative, sep } from 'node:path'
import ts from 'typescript'

const DECLARED = 'src/machine/fault.ts'

/** All marks of a program's sources, by name, with the files that pass them. */
export function marksIn(program, root) {
  const checker = program.getTypeChecker()
  const files = new Map()
  const placeOf = (file) => relative(root, file.fileName).split(sep).join('/')
  const isMark = (callee) => {
    if (!ts.isIdentifier(callee) || callee.text !== 'mark') return false
    const symbol = checker.getSymbolAtLocation(callee)
    if (symbol === undefined) return false
    const own = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    return own.declarations?.some((d) => placeOf(d.getSourceFile()) === DECLARED) === true
  }
  const visit = (node, place) => {
    if (ts.isCallExpression(node) && isMark(node.expression)) {
      // A name, or a choice between names: the type is what it can be.
      const type = checker.getTypeAtLocation(node.arguments[0])
      for (const name of type.isUnion() ? type.types : [type]) {
        if (!name.isStringLiteral()) throw new Error(`${place}: a mark without a name of its own`)
        files.set(name.value, (files.get(name.value) ?? new Set()).add(place))
      }
    }
    ts.forEachChild(node, (child) => visit(child, place))
  }
  for (const file of program.getSourceFiles()) {
    const place = placeOf(file)
    if (/^src\/(kernel|user|designs|hosts)\//.test(place)) visit(file, place)
  }
  return [...files]
    .map(([name, passed]) => ({ name, files: [...passed].sort() }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}
