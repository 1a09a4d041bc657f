/**
 * From the syntax tree of one kernel function to its control flow graph. What contains no yield
 * and no jump is kept as it stands; the rest is taken apart so that each yield and each call of a
 * kernel function ends a block.
 */
import ts from 'typescript'
import type { Block, Item, Local, Terminator } from './cfg.js'
import { type Dialect, JavaScript, type Surroundings } from './dialect.js'
import { type Keep, keepOf } from './types.js'

export interface Problem {
  readonly pos: number
  readonly reason: string
}

interface Target {
  readonly label: string | undefined
  readonly breakTo: Block
  readonly continueTo: Block | undefined
}

const NOTHING: ReadonlySet<Local> = new Set()

export class Builder {
  readonly blocks: Block[] = []
  readonly locals: Local[] = []
  readonly problems: Problem[] = []
  readonly #checker: ts.TypeChecker
  readonly #file: ts.SourceFile
  readonly #bySymbol = new Map<ts.Symbol, Local>()
  readonly #names = new Set<string>()
  readonly #targets: Target[] = []
  /** Text that stands for a sub-expression which has been taken out, and the locals in it. */
  readonly #replaced = new Map<ts.Node, Item>()
  readonly #dialect: Dialect
  readonly #around: Surroundings = {
    localOf: (name) => this.#localOf(name),
    replaced: (node) => this.#replaced.get(node),
    reject: (node, reason) => this.#reject(node, reason),
  }
  #current: Block

  constructor(
    checker: ts.TypeChecker,
    file: ts.SourceFile,
    dialect: Dialect = new JavaScript(file),
  ) {
    this.#checker = checker
    this.#file = file
    this.#dialect = dialect
    this.#current = this.#block()
  }

  build(f: ts.FunctionExpression): readonly Local[] {
    const params = f.parameters.flatMap((p) => {
      if (ts.isIdentifier(p.name) && !p.initializer && !p.dotDotDotToken) {
        return [this.#declare(p.name)]
      }
      this.#reject(p, 'a parameter must be a plain name')
      return []
    })
    for (const s of f.body.statements) this.#statement(s)
    if (this.#current.end === undefined) this.#end({ kind: 'return', value: this.#nothing() })
    for (const b of this.blocks) b.end ??= { kind: 'return', value: this.#nothing() }
    return params
  }

  #reject(node: ts.Node, reason: string): void {
    this.problems.push({ pos: node.getStart(this.#file), reason })
  }

  #block(): Block {
    const block: Block = { id: this.blocks.length, items: [], end: undefined }
    this.blocks.push(block)
    return block
  }

  #end(terminator: Terminator): void {
    if (this.#current.end === undefined) this.#current.end = terminator
  }

  #goTo(block: Block): void {
    this.#end({ kind: 'jump', to: block })
    this.#current = block
  }

  #declare(name: ts.Identifier): Local {
    const symbol = this.#checker.getSymbolAtLocation(name) as ts.Symbol
    const known = this.#bySymbol.get(symbol)
    if (known !== undefined) return known
    const type = this.#checker.getTypeOfSymbolAtLocation(symbol, name)
    const local = this.#local(name.text, keepOf(type, this.#checker), name.getStart(this.#file))
    this.#bySymbol.set(symbol, local)
    return local
  }

  #local(source: string, keep: Keep, pos: number): Local {
    const first = this.#dialect.nameOf(source)
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

  #nothing(): Item {
    return this.#text(this.#dialect.nothing)
  }

  #emit(node: ts.Node): Item {
    return this.#dialect.emit(node, this.#around)
  }

  #text(text: string, uses: Iterable<Local> = [], defs: Iterable<Local> = []): Item {
    return { text, uses: new Set(uses), defs: new Set(defs) }
  }

  // Statements

  #statement(s: ts.Statement): void {
    if (ts.isFunctionDeclaration(s) || ts.isClassDeclaration(s)) {
      this.#reject(s, 'functions and classes cannot be declared inside a kernel function')
    } else if (ts.isVariableStatement(s)) this.#variables(s.declarationList)
    else if (!this.#mustSplit(s)) this.#verbatim(s)
    else this.#split(s)
  }

  #split(s: ts.Statement): void {
    if (ts.isBlock(s)) for (const inner of s.statements) this.#statement(inner)
    else if (ts.isExpressionStatement(s)) this.#effectOnly(s.expression)
    else if (ts.isIfStatement(s)) this.#if(s)
    else if (ts.isWhileStatement(s)) this.#while(s, undefined)
    else if (ts.isDoStatement(s)) this.#do(s, undefined)
    else if (ts.isForStatement(s)) this.#for(s, undefined)
    else if (ts.isSwitchStatement(s)) this.#switch(s, undefined)
    else if (ts.isLabeledStatement(s)) this.#labelled(s)
    else if (ts.isReturnStatement(s)) {
      const value = s.expression ? this.#expression(s.expression) : this.#nothing()
      this.#end({ kind: 'return', value })
      this.#current = this.#block()
    } else if (ts.isThrowStatement(s)) {
      this.#end({ kind: 'throw', value: this.#expression(s.expression) })
      this.#current = this.#block()
    } else if (ts.isBreakOrContinueStatement(s)) this.#jump(s)
    else this.#reject(s, `a ${ts.SyntaxKind[s.kind]} cannot contain or span a yield`)
  }

  #verbatim(s: ts.Statement): void {
    if (ts.isEmptyStatement(s)) return
    const simple = this.#simpleAssignment(s)
    const item = this.#emit(s)
    // Only a plain assignment is sure to happen; other code may leave a local as it was.
    const defs = simple === undefined ? NOTHING : new Set([simple])
    const uses = new Set(item.uses)
    if (simple !== undefined && !this.#reads(s, simple)) uses.delete(simple)
    this.#current.items.push({ text: item.text, uses, defs })
  }

  /** The local that a statement `x = …` assigns. */
  #simpleAssignment(s: ts.Statement): Local | undefined {
    if (!ts.isExpressionStatement(s) || !ts.isBinaryExpression(s.expression)) return undefined
    const { left, operatorToken } = s.expression
    if (operatorToken.kind !== ts.SyntaxKind.EqualsToken || !ts.isIdentifier(left)) return undefined
    return this.#localOf(left)
  }

  #reads(s: ts.Statement, local: Local): boolean {
    const { right } = (s as ts.ExpressionStatement).expression as ts.BinaryExpression
    return this.#emit(right).uses.has(local)
  }

  #variables(list: ts.VariableDeclarationList): void {
    for (const d of list.declarations) {
      if (!ts.isIdentifier(d.name)) {
        this.#reject(d, 'destructuring is not allowed in a kernel function')
        continue
      }
      const local = this.#declare(d.name)
      if (d.initializer === undefined) continue
      this.#assign(local, this.#expression(d.initializer))
    }
  }

  #assign(local: Local, value: Item): void {
    if (value.text === local.name) return
    const text = `${local.name} = ${value.text};`
    this.#current.items.push({ text, uses: value.uses, defs: new Set([local]) })
  }

  #effectOnly(e: ts.Expression): void {
    const value = this.#expression(e, false)
    if (value.text === '' || /^\$t(\$\d+)?$/.test(value.text)) return
    this.#current.items.push({ ...value, text: `${value.text};` })
  }

  #condition(e: ts.Expression, yes: Block, no: Block): void {
    if (!this.#hasYield(e) || !this.#splitCondition(e, yes, no)) {
      this.#end({ kind: 'branch', cond: this.#expression(e), yes, no })
    }
  }

  /** Make control flow of a condition with a yield in it; false if it is none of these forms. */
  #splitCondition(e: ts.Expression, yes: Block, no: Block): boolean {
    if (ts.isParenthesizedExpression(e)) {
      this.#condition(e.expression, yes, no)
      return true
    }
    if (ts.isPrefixUnaryExpression(e) && e.operator === ts.SyntaxKind.ExclamationToken) {
      this.#condition(e.operand, no, yes)
      return true
    }
    if (!ts.isBinaryExpression(e)) return false
    const op = e.operatorToken.kind
    const isOr = op === ts.SyntaxKind.BarBarToken
    if (!isOr && op !== ts.SyntaxKind.AmpersandAmpersandToken) return false
    const right = this.#block()
    if (isOr) this.#condition(e.left, yes, right)
    else this.#condition(e.left, right, no)
    this.#current = right
    this.#condition(e.right, yes, no)
    return true
  }

  #if(s: ts.IfStatement): void {
    const yes = this.#block()
    const after = this.#block()
    const no = s.elseStatement ? this.#block() : after
    this.#condition(s.expression, yes, no)
    this.#current = yes
    this.#statement(s.thenStatement)
    this.#end({ kind: 'jump', to: after })
    if (s.elseStatement) {
      this.#current = no
      this.#statement(s.elseStatement)
      this.#end({ kind: 'jump', to: after })
    }
    this.#current = after
  }

  #isTrue(e: ts.Expression | undefined): boolean {
    return e === undefined || e.kind === ts.SyntaxKind.TrueKeyword
  }

  #while(s: ts.WhileStatement, label: string | undefined): void {
    const head = this.#block()
    const body = this.#block()
    const after = this.#block()
    this.#goTo(head)
    if (this.#isTrue(s.expression)) this.#end({ kind: 'jump', to: body })
    else this.#condition(s.expression, body, after)
    this.#body(s.statement, { label, breakTo: after, continueTo: head }, body, head)
    this.#current = after
  }

  #body(s: ts.Statement, target: Target, body: Block, next: Block): void {
    this.#current = body
    this.#targets.push(target)
    this.#statement(s)
    this.#targets.pop()
    this.#end({ kind: 'jump', to: next })
  }

  #do(s: ts.DoStatement, label: string | undefined): void {
    const body = this.#block()
    const test = this.#block()
    const after = this.#block()
    this.#goTo(body)
    this.#body(s.statement, { label, breakTo: after, continueTo: test }, body, test)
    this.#current = test
    this.#condition(s.expression, body, after)
    this.#current = after
  }

  #for(s: ts.ForStatement, label: string | undefined): void {
    if (s.initializer !== undefined) {
      if (ts.isVariableDeclarationList(s.initializer)) this.#variables(s.initializer)
      else this.#effectOnly(s.initializer)
    }
    const head = this.#block()
    const body = this.#block()
    const step = this.#block()
    const after = this.#block()
    this.#goTo(head)
    if (this.#isTrue(s.condition)) this.#end({ kind: 'jump', to: body })
    else this.#condition(s.condition as ts.Expression, body, after)
    this.#body(s.statement, { label, breakTo: after, continueTo: step }, body, step)
    this.#current = step
    if (s.incrementor) this.#effectOnly(s.incrementor)
    this.#end({ kind: 'jump', to: head })
    this.#current = after
  }

  #switch(s: ts.SwitchStatement, label: string | undefined): void {
    const value = this.#saved(s.expression)
    const after = this.#block()
    const bodies = s.caseBlock.clauses.map(() => this.#block())
    let fallback = after
    s.caseBlock.clauses.forEach((c, i) => {
      if (ts.isDefaultClause(c)) {
        fallback = bodies[i] as Block
        return
      }
      const test = this.#expression(c.expression)
      const cond = this.#text(this.#dialect.isEqual(value.text, test.text), [
        ...value.uses,
        ...test.uses,
      ])
      const next = this.#block()
      this.#end({ kind: 'branch', cond, yes: bodies[i] as Block, no: next })
      this.#current = next
    })
    this.#end({ kind: 'jump', to: fallback })
    this.#targets.push({ label, breakTo: after, continueTo: undefined })
    s.caseBlock.clauses.forEach((c, i) => {
      this.#current = bodies[i] as Block
      for (const inner of c.statements) this.#statement(inner)
      this.#end({ kind: 'jump', to: bodies[i + 1] ?? after })
    })
    this.#targets.pop()
    this.#current = after
  }

  #labelled(s: ts.LabeledStatement): void {
    const label = s.label.text
    const inner = s.statement
    if (ts.isWhileStatement(inner)) this.#while(inner, label)
    else if (ts.isDoStatement(inner)) this.#do(inner, label)
    else if (ts.isForStatement(inner)) this.#for(inner, label)
    else if (ts.isSwitchStatement(inner)) this.#switch(inner, label)
    else {
      const after = this.#block()
      this.#targets.push({ label, breakTo: after, continueTo: undefined })
      this.#statement(inner)
      this.#targets.pop()
      this.#goTo(after)
    }
  }

  #jump(s: ts.BreakOrContinueStatement): void {
    const isBreak = ts.isBreakStatement(s)
    for (let i = this.#targets.length - 1; i >= 0; i--) {
      const target = this.#targets[i] as Target
      if (s.label !== undefined && s.label.text !== target.label) continue
      const to = isBreak ? target.breakTo : target.continueTo
      if (to === undefined) continue
      this.#end({ kind: 'jump', to })
      this.#current = this.#block()
      return
    }
    this.#reject(s, 'nothing to jump out of')
  }

  // Expressions

  /** Text of an expression whose yields have been taken out before it. */
  #expression(e: ts.Expression, valueUsed = true): Item {
    if (!this.#hasYield(e)) return this.#emit(e)
    if (ts.isYieldExpression(e)) return this.#yield(e, valueUsed)
    if (ts.isParenthesizedExpression(e) || ts.isNonNullExpression(e) || ts.isAsExpression(e)) {
      const inner = this.#expression(e.expression, valueUsed)
      return inner
    }
    if (ts.isBinaryExpression(e)) return this.#binary(e)
    if (ts.isConditionalExpression(e)) return this.#conditional(e)
    if (ts.isPrefixUnaryExpression(e)) {
      const inner = this.#expression(e.operand)
      return { ...inner, text: this.#dialect.unary(e.operator, inner.text) }
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
      this.#reject(e, `a yield cannot stand inside this ${ts.SyntaxKind[e.kind]}`)
      return this.#nothing()
    }
    this.#operands(operands)
    return this.#emit(e)
  }

  #operands(operands: readonly ts.Expression[]): void {
    const last = operands.findLastIndex((o) => this.#hasYield(o))
    operands.forEach((o, i) => {
      if (i > last) return
      const isMethod = i === 0 && ts.isPropertyAccessExpression(o) && !this.#hasYield(o)
      if (isMethod) return
      const value = i < last ? this.#saved(o) : this.#expression(o)
      this.#replaced.set(o, value)
    })
  }

  /** The value of an expression in a temporary, unless it is a constant or a local of its own. */
  #saved(e: ts.Expression): Item {
    const value = this.#expression(e)
    if (/^\$t(\$\d+)?$|^-?\d+n?$/.test(value.text)) return value
    const symbol = ts.isIdentifier(e) ? this.#checker.getSymbolAtLocation(e) : undefined
    if (symbol !== undefined && !this.#bySymbol.has(symbol)) return value
    return this.#savedText(value, e)
  }

  #savedText(value: Item, e: ts.Expression): Item {
    const temporary = this.#temporary(e)
    this.#assign(temporary, value)
    return this.#text(temporary.name, [temporary])
  }

  #yield(e: ts.YieldExpression, valueUsed: boolean): Item {
    const operand = e.expression as ts.Expression
    const line = this.#file.getLineAndCharacterOfPosition(e.getStart(this.#file)).line + 1
    const note = operand.getText(this.#file).replace(/\s+/g, ' ')
    const into = valueUsed ? this.#temporary(e) : undefined
    if (e.asteriskToken !== undefined) {
      if (!ts.isCallExpression(operand)) {
        this.#reject(e, 'yield* must stand before the call of a kernel function')
        return this.#nothing()
      }
      this.#operands([operand.expression, ...operand.arguments])
      const callee = this.#emit(operand.expression)
      const args = operand.arguments.map((a) => this.#emit(a))
      const next = this.#block()
      this.#end({ kind: 'call', callee, args, into, next, line, note })
      this.#current = next
    } else {
      const effect = this.#expression(operand)
      const plain = /^(read|write|rmw)\(/.test(note)
      const next = this.#block()
      this.#end({ kind: 'yield', effect, plain, into, next, line, note })
      this.#current = next
    }
    return into === undefined ? this.#text('') : this.#text(into.name, [into])
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
    const left = this.#hasYield(e.right) ? this.#saved(e.left) : this.#expression(e.left)
    const right = this.#expression(e.right)
    const operator = e.operatorToken.getText(this.#file)
    const text = this.#dialect.binary(operator, left.text, right.text, e)
    return this.#text(text, [...left.uses, ...right.uses])
  }

  /** `x = …`, `x += …`, `a.b = …`, `a.b += …`; the target's old value is read before the yield. */
  #assignment(e: ts.BinaryExpression): Item {
    const operator = e.operatorToken.getText(this.#file).slice(0, -1)
    if (/^(&&|\|\||\?\?)$/.test(operator)) {
      this.#reject(e, `write ${operator}= with a yield as an if`)
      return this.#nothing()
    }
    this.#target(e.left)
    const old = operator === '' ? undefined : this.#savedText(this.#emit(e.left), e.left)
    const value = this.#expression(e.right)
    const result =
      old === undefined
        ? value
        : this.#text(this.#dialect.binary(operator, old.text, value.text, e), [
            ...old.uses,
            ...value.uses,
          ])
    const local = ts.isIdentifier(e.left) ? this.#localOf(e.left) : undefined
    if (local !== undefined) {
      this.#assign(local, result)
      return this.#text(local.name, [local])
    }
    return this.#dialect.store(e.left, result, this.#around)
  }

  /** Evaluate an assignment's target as far as JavaScript does before the right side. */
  #target(left: ts.Expression): void {
    if (ts.isPropertyAccessExpression(left) && !this.#hasYield(left)) {
      this.#replaced.set(left.expression, this.#saved(left.expression))
    } else if (!ts.isIdentifier(left) || this.#localOf(left) === undefined) {
      this.#reject(left, 'only locals and fields can be assigned a yield')
    }
  }

  #shortCircuit(e: ts.BinaryExpression, op: ts.SyntaxKind): Item {
    const result = this.#temporary(e)
    this.#assign(result, this.#expression(e.left))
    const right = this.#block()
    const after = this.#block()
    const isAnd = op === ts.SyntaxKind.AmpersandAmpersandToken
    const isThere = op === ts.SyntaxKind.QuestionQuestionToken
    const test = isThere ? this.#dialect.isThere(result.name) : result.name
    const cond = this.#text(test, [result])
    this.#end({ kind: 'branch', cond, yes: isAnd ? right : after, no: isAnd ? after : right })
    this.#current = right
    this.#assign(result, this.#expression(e.right))
    this.#goTo(after)
    return this.#text(result.name, [result])
  }

  #conditional(e: ts.ConditionalExpression): Item {
    const result = this.#temporary(e)
    const yes = this.#block()
    const no = this.#block()
    const after = this.#block()
    this.#condition(e.condition, yes, no)
    this.#current = yes
    this.#assign(result, this.#expression(e.whenTrue))
    this.#end({ kind: 'jump', to: after })
    this.#current = no
    this.#assign(result, this.#expression(e.whenFalse))
    this.#end({ kind: 'jump', to: after })
    this.#current = after
    return this.#text(result.name, [result])
  }

  // Text

  #localOf(name: ts.Identifier): Local | undefined {
    const isShorthand = ts.isShorthandPropertyAssignment(name.parent)
    const symbol = isShorthand
      ? this.#checker.getShorthandAssignmentValueSymbol(name.parent)
      : this.#checker.getSymbolAtLocation(name)
    return symbol === undefined ? undefined : this.#bySymbol.get(symbol)
  }

  // Questions about a tree

  #hasYield(node: ts.Node): boolean {
    if (ts.isYieldExpression(node)) return true
    if (ts.isFunctionLike(node)) return false
    return ts.forEachChild(node, (c) => this.#hasYield(c)) ?? false
  }

  /** Does a statement contain a yield, or a jump or return that leaves it? */
  #mustSplit(node: ts.Node): boolean {
    if (this.#hasYield(node)) return true
    return this.#leaves(node, 0, 0)
  }

  #leaves(node: ts.Node, loops: number, switches: number): boolean {
    if (ts.isReturnStatement(node)) return true
    if (ts.isFunctionLike(node)) return false
    if (ts.isBreakStatement(node)) return node.label !== undefined || loops + switches === 0
    if (ts.isContinueStatement(node)) return node.label !== undefined || loops === 0
    const inLoop = ts.isIterationStatement(node, false) ? 1 : 0
    const inSwitch = ts.isSwitchStatement(node) ? 1 : 0
    return (
      ts.forEachChild(node, (c) => this.#leaves(c, loops + inLoop, switches + inSwitch)) ?? false
    )
  }
}
