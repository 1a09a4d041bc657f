/**
 * The text of code that has no yield in it, in the language that the lowering writes. The control
 * flow graph is the same for each; a dialect only says how its pieces read.
 */
import ts from 'typescript'
import type { Item, Local } from './cfg.js'

/** What a dialect may ask about the function that is being taken apart. */
export interface Surroundings {
  /** The local that a name stands for; undefined for what is declared elsewhere. */
  localOf(name: ts.Identifier): Local | undefined
  /** What stands for a sub-expression that has been taken out. */
  replaced(node: ts.Node): Item | undefined
  reject(node: ts.Node, reason: string): void
}

export interface Dialect {
  /** `undefined`. */
  readonly nothing: string
  /** What a local is called that the source calls so. */
  nameOf(source: string): string
  /** The text of a statement or an expression without yields. */
  emit(node: ts.Node, around: Surroundings): Item
  unary(operator: ts.PrefixUnaryOperator, operand: string): string
  /** `e` is the expression that the operator stands in, for the types of its operands. */
  binary(operator: string, left: string, right: string, e: ts.BinaryExpression): string
  /** The assignment of a value to a place that is no local. */
  store(target: ts.Expression, value: Item, around: Surroundings): Item
  isEqual(left: string, right: string): string
  /** Is a local neither null nor undefined? */
  isThere(local: string): string
}

/** JavaScript, and TypeScript where types are written. */
export class JavaScript implements Dialect {
  readonly nothing = 'undefined'
  readonly #file: ts.SourceFile

  constructor(file: ts.SourceFile) {
    this.#file = file
  }

  nameOf(source: string): string {
    return source
  }

  /** A node's own text, with locals renamed and what was taken out replaced. */
  emit(node: ts.Node, around: Surroundings): Item {
    const uses = new Set<Local>()
    const pieces: string[] = []
    let at = node.getStart(this.#file)
    const splice = (n: ts.Node, text: string): void => {
      pieces.push(this.#file.text.slice(at, n.getStart(this.#file)), text)
      at = n.getEnd()
    }
    const visit = (n: ts.Node): void => {
      const replaced = around.replaced(n)
      if (replaced !== undefined) {
        for (const u of replaced.uses) uses.add(u)
        splice(n, replaced.text)
      } else if (ts.isIdentifier(n)) {
        const local = around.localOf(n)
        if (local === undefined) return
        uses.add(local)
        const shorthand = ts.isShorthandPropertyAssignment(n.parent)
        splice(n, shorthand ? `${n.text}: ${local.name}` : local.name)
      } else if (!ts.isTypeNode(n)) {
        if (n.kind === ts.SyntaxKind.ThisKeyword)
          around.reject(n, 'there is no this in kernel code')
        ts.forEachChild(n, visit)
      }
    }
    visit(node)
    pieces.push(this.#file.text.slice(at, node.getEnd()))
    return { text: pieces.join(''), uses, defs: new Set() }
  }

  unary(operator: ts.PrefixUnaryOperator, operand: string): string {
    return `${ts.tokenToString(operator)}(${operand})`
  }

  binary(operator: string, left: string, right: string): string {
    return `(${left} ${operator} ${right})`
  }

  store(target: ts.Expression, value: Item, around: Surroundings): Item {
    const place = this.emit(target, around)
    const uses = new Set([...place.uses, ...value.uses])
    return { text: `${place.text} = ${value.text}`, uses, defs: new Set() }
  }

  isEqual(left: string, right: string): string {
    return `${left} === (${right})`
  }

  isThere(local: string): string {
    return `${local} != null`
  }
}
