/**
 * The control flow graph of one kernel function while it is built: blocks, locals, and expressions
 * taken apart so that each yield and each call of a kernel function ends a block.
 */
import ts from 'typescript'
import type { Block, Item, Local, Terminator } from './cfg.js'
import type { Dialect, Surroundings } from './dialect.js'
import { type Keep, keepOf } from './types.js'
import { hasYield } from './yields.js'

export interface Problem {
  readonly pos: number
  readonly reason: string
}

export class Flow {
  readonly blocks: Block[] = []
  readonly locals: Local[] = []
  readonly problems: Problem[] = []
  readonly dialect: Dialect
  /** Where what comes next goes. */
  current: Block
  readonly #checker: ts.TypeChecker
  readonly #file: ts.SourceFile
  readonly #bySymbol = new Map<ts.Symbol, Local>()
  readonly #names = new Set<string>()
  /** Text that stands for a sub-expression which has been taken out, and the locals in it. */
  readonly #replaced = new Map<ts.Node, Item>()
  readonly #around: Surroundings = {
    localOf: (name) => this.localOf(name),
    replaced: (node) => this.#replaced.get(node),
    reject: (node, reason) => this.reject(node, reason),
  }

  constructor(checker: ts.TypeChecker, file: ts.SourceFile, dialect: Dialect) {
    this.#checker = checker
    this.#file = file
    this.dialect = dialect
    this.current = this.block()
  }

  /** This cannot be lowered. */
  reject(node: ts.Node, reason: string): void {
    this.problems.push({ pos: node.getStart(this.#file), reason })
  }

  /** A new block, which nothing leads to yet. */
  block(): Block {
    const block: Block = { id: this.blocks.length, items: [], end: undefined }
    this.blocks.push(block)
    return block
  }

  /** End the current block, unless a jump has ended it already. */
  end(terminator: Terminator): void {
    if (this.current.end === undefined) this.current.end = terminator
  }

  /** End the current block and go on in this one. */
  goTo(block: Block): void {
    this.end({ kind: 'jump', to: block })
    this.current = block
  }

  /** The local of this name, which this may be the declaration of. */
  declare(name: ts.Identifier): Local {
    const symbol = this.#checker.getSymbolAtLocation(name) as ts.Symbol
    const known = this.#bySymbol.get(symbol)
    if (known !== undefined) return known
    const type = this.#checker.getTypeOfSymbolAtLocation(symbol, name)
    const local = this.#local(name.text, keepOf(type, this.#checker), name.getStart(this.#file))
    this.#bySymbol.set(symbol, local)
    return local
  }

  #local(source: string, keep: Keep, pos: number): Local {
    const first = this.dialect.nameOf(source)
    let name = first
    for (let i = 1; this.#names.has(name); i++) name = `${first}$${i}`
    this.#names.add(name)
    const local: Local = { name, source, keep, pos }
    this.locals.push(local)
    return local
  }

  #temporary(node: ts.Expression): Local {
    const type = this.#checker.getTypeAtLocation(node)
    return this.#local('$t', keepOf(type, this.#checker), node.getStart(this.#file))
  }

  nothing(): Item {
    return this.text(this.dialect.nothing)
  }

  /** Text of code without a yield, but for what has been taken out of it. */
  emit(node: ts.Node): Item {
    return this.dialect.emit(node, this.#around)
  }

  text(text: string, uses: Iterable<Local> = [], defs: Iterable<Local> = []): Item {
    return { text, uses: new Set(uses), defs: new Set(defs) }
  }

  assign(local: Local, value: Item): void {
    if (value.text === local.name) return
    const text = `${local.name} = ${value.text};`
    this.current.items.push({ text, uses: value.uses, defs: new Set([local]) })
  }

  /** Evaluate an expression whose value nobody wants. */
  effectOnly(e: ts.Expression): void {
    const value = this.expression(e, false)
    if (value.text === '' || /^\$t(\$\d+)?$/.test(value.text)) return
    this.current.items.push({ ...value, text: `${value.text};` })
  }

  /** End the current block by a branch. */
  condition(e: ts.Expression, yes: Block, no: Block): void {
    if (!hasYield(e) || !this.#splitCondition(e, yes, no)) {
      this.end({ kind: 'branch', cond: this.expression(e), yes, no })
    }
  }

  /** Make control flow of a condition with a yield in it; false if it is none of these forms. */
  #splitCondition(e: ts.Expression, yes: Block, no: Block): boolean {
    if (ts.isParenthesizedExpression(e)) {
      this.condition(e.expression, yes, no)
      return true
    }
    if (ts.isPrefixUnaryExpression(e) && e.operator === ts.SyntaxKind.ExclamationToken) {
      this.condition(e.operand, no, yes)
      return true
    }
    if (!ts.isBinaryExpression(e)) return false
    const op = e.operatorToken.kind
    const isOr = op === ts.SyntaxKind.BarBarToken
    if (!isOr && op !== ts.SyntaxKind.AmpersandAmpersandToken) return false
    const right = this.block()
    if (isOr) this.condition(e.left, yes, right)
    else this.condition(e.left, right, no)
    this.current = right
    this.condition(e.right, yes, no)
    return true
  }

  /** Text of an expression whose yields have been taken out before it. */
  expression(e: ts.Expression, valueUsed = true): Item {
    if (!hasYield(e)) return this.emit(e)
    if (ts.isYieldExpression(e)) return this.#yield(e, valueUsed)
    if (ts.isParenthesizedExpression(e) || ts.isNonNullExpression(e) || ts.isAsExpression(e)) {
      const inner = this.expression(e.expression, valueUsed)
      return inner
    }
    if (ts.isBinaryExpression(e)) return this.#binary(e)
    if (ts.isConditionalExpression(e)) return this.#conditional(e)
    if (ts.isPrefixUnaryExpression(e)) {
      const inner = this.expression(e.operand)
      return { ...inner, text: this.dialect.unary(e.operator, inner.text) }
    }
    return this.#parts(e)
  }

  /** Evaluate the direct operands left to right; what comes before a yield is saved. */
  #parts(e: ts.Expression): Item {
    const operands: ts.Expression[] = []
    if (ts.isCallExpression(e)) operands.push(e.expression, ...e.arguments)
    else if (ts.isPropertyAccessExpression(e)) operands.push(e.expression)
    else if (ts.isElementAccessExpression(e)) operands.push(e.expression, e.argumentExpression)
    else {
      this.reject(e, `a yield cannot stand inside this ${ts.SyntaxKind[e.kind]}`)
      return this.nothing()
    }
    this.#operands(operands)
    return this.emit(e)
  }

  #operands(operands: readonly ts.Expression[]): void {
    const last = operands.findLastIndex((o) => hasYield(o))
    operands.forEach((o, i) => {
      if (i > last) return
      const isMethod = i === 0 && ts.isPropertyAccessExpression(o) && !hasYield(o)
      if (isMethod) return
      const value = i < last ? this.saved(o) : this.expression(o)
      this.#replaced.set(o, value)
    })
  }

  /** The value of an expression in a temporary, unless it is a constant or a local of its own. */
  saved(e: ts.Expression): Item {
    const value = this.expression(e)
    if (/^\$t(\$\d+)?$|^-?\d+n?$/.test(value.text)) return value
    const symbol = ts.isIdentifier(e) ? this.#checker.getSymbolAtLocation(e) : undefined
    if (symbol !== undefined && !this.#bySymbol.has(symbol)) return value
    return this.#savedText(value, e)
  }

  #savedText(value: Item, e: ts.Expression): Item {
    const temporary = this.#temporary(e)
    this.assign(temporary, value)
    return this.text(temporary.name, [temporary])
  }

  #yield(e: ts.YieldExpression, valueUsed: boolean): Item {
    const operand = e.expression
    if (operand === undefined) {
      this.reject(e, 'a yield must announce something')
      return this.nothing()
    }
    const line = this.#file.getLineAndCharacterOfPosition(e.getStart(this.#file)).line + 1
    const note = operand.getText(this.#file).replace(/\s+/g, ' ')
    const into = valueUsed ? this.#temporary(e) : undefined
    if (e.asteriskToken !== undefined) {
      if (!ts.isCallExpression(operand)) {
        this.reject(e, 'yield* must stand before the call of a kernel function')
        return this.nothing()
      }
      this.#operands([operand.expression, ...operand.arguments])
      const callee = this.emit(operand.expression)
      const args = operand.arguments.map((a) => this.emit(a))
      const next = this.block()
      this.end({ kind: 'call', callee, args, into, next, line, note })
      this.current = next
    } else {
      const effect = this.expression(operand)
      const plain = /^(read|write|rmw)\(/.test(note)
      const next = this.block()
      this.end({ kind: 'yield', effect, plain, into, next, line, note })
      this.current = next
    }
    return into === undefined ? this.text('') : this.text(into.name, [into])
  }

  #binary(e: ts.BinaryExpression): Item {
    const op = e.operatorToken.kind
    if (
      op === ts.SyntaxKind.AmpersandAmpersandToken ||
      op === ts.SyntaxKind.BarBarToken ||
      op === ts.SyntaxKind.QuestionQuestionToken
    ) {
      return this.#shortCircuit(e, op)
    }
    if (op >= ts.SyntaxKind.FirstAssignment && op <= ts.SyntaxKind.LastAssignment) {
      return this.#assignment(e)
    }
    const left = hasYield(e.right) ? this.saved(e.left) : this.expression(e.left)
    const right = this.expression(e.right)
    const operator = e.operatorToken.getText(this.#file)
    const text = this.dialect.binary(operator, left.text, right.text, e)
    return this.text(text, [...left.uses, ...right.uses])
  }

  /** `x = …`, `x += …`, `a.b = …`, `a.b += …`; the target's old value is read before the yield. */
  #assignment(e: ts.BinaryExpression): Item {
    const operator = e.operatorToken.getText(this.#file).slice(0, -1)
    if (/^(&&|\|\||\?\?)$/.test(operator)) {
      this.reject(e, `write ${operator}= with a yield as an if`)
      return this.nothing()
    }
    this.#target(e.left)
    const old = operator === '' ? undefined : this.#savedText(this.emit(e.left), e.left)
    const value = this.expression(e.right)
    const result =
      old === undefined
        ? value
        : this.text(this.dialect.binary(operator, old.text, value.text, e), [
            ...old.uses,
            ...value.uses,
          ])
    const local = ts.isIdentifier(e.left) ? this.localOf(e.left) : undefined
    if (local !== undefined) {
      this.assign(local, result)
      return this.text(local.name, [local])
    }
    return this.dialect.store(e.left, result, this.#around)
  }

  /** Evaluate an assignment's target as far as JavaScript does before the right side. */
  #target(left: ts.Expression): void {
    if (ts.isPropertyAccessExpression(left) && !hasYield(left)) {
      this.#replaced.set(left.expression, this.saved(left.expression))
    } else if (!ts.isIdentifier(left) || this.localOf(left) === undefined) {
      this.reject(left, 'only locals and fields can be assigned a yield')
    }
  }

  #shortCircuit(e: ts.BinaryExpression, op: ts.SyntaxKind): Item {
    const result = this.#temporary(e)
    this.assign(result, this.expression(e.left))
    const right = this.block()
    const after = this.block()
    const isAnd = op === ts.SyntaxKind.AmpersandAmpersandToken
    const isThere = op === ts.SyntaxKind.QuestionQuestionToken
    const test = isThere ? this.dialect.isThere(result.name) : result.name
    const cond = this.text(test, [result])
    this.end({ kind: 'branch', cond, yes: isAnd ? right : after, no: isAnd ? after : right })
    this.current = right
    this.assign(result, this.expression(e.right))
    this.goTo(after)
    return this.text(result.name, [result])
  }

  #conditional(e: ts.ConditionalExpression): Item {
    const result = this.#temporary(e)
    const yes = this.block()
    const no = this.block()
    const after = this.block()
    this.condition(e.condition, yes, no)
    this.current = yes
    this.assign(result, this.expression(e.whenTrue))
    this.end({ kind: 'jump', to: after })
    this.current = no
    this.assign(result, this.expression(e.whenFalse))
    this.end({ kind: 'jump', to: after })
    this.current = after
    return this.text(result.name, [result])
  }

  localOf(name: ts.Identifier): Local | undefined {
    const isShorthand = ts.isShorthandPropertyAssignment(name.parent)
    const symbol = isShorthand
      ? this.#checker.getShorthandAssignmentValueSymbol(name.parent)
      : this.#checker.getSymbolAtLocation(name)
    return symbol === undefined ? undefined : this.#bySymbol.get(symbol)
  }
}
