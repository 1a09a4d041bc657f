/**
 * From the syntax tree of one kernel function to its control flow graph. What contains no yield
 * and no jump is kept as it stands; the rest is taken apart.
 */
import ts from 'typescript'
import type { Block, Local } from './cfg.js'
import { type Dialect, JavaScript } from './dialect.js'
import { Flow, type Problem } from './flow.js'
import { mustSplit } from './yields.js'

interface Target {
  readonly label: string | undefined
  readonly breakTo: Block
  readonly continueTo: Block | undefined
}

const NOTHING: ReadonlySet<Local> = new Set()

export class Builder {
  readonly #flow: Flow
  readonly #targets: Target[] = []

  constructor(
    checker: ts.TypeChecker,
    file: ts.SourceFile,
    dialect: Dialect = new JavaScript(file),
  ) {
    this.#flow = new Flow(checker, file, dialect)
  }

  get blocks(): readonly Block[] {
    return this.#flow.blocks
  }

  get locals(): readonly Local[] {
    return this.#flow.locals
  }

  get problems(): readonly Problem[] {
    return this.#flow.problems
  }

  build(f: ts.FunctionExpression): readonly Local[] {
    const params = f.parameters.flatMap((p) => {
      if (ts.isIdentifier(p.name) && !p.initializer && !p.dotDotDotToken) {
        return [this.#flow.declare(p.name)]
      }
      this.#flow.reject(p, 'a parameter must be a plain name')
      return []
    })
    for (const s of f.body.statements) this.#statement(s)
    if (this.#flow.current.end === undefined)
      this.#flow.end({ kind: 'return', value: this.#flow.nothing() })
    for (const b of this.#flow.blocks) b.end ??= { kind: 'return', value: this.#flow.nothing() }
    return params
  }

  #statement(s: ts.Statement): void {
    if (ts.isFunctionDeclaration(s) || ts.isClassDeclaration(s)) {
      this.#flow.reject(s, 'functions and classes cannot be declared inside a kernel function')
    } else if (ts.isVariableStatement(s)) this.#variables(s.declarationList)
    else if (!mustSplit(s)) this.#verbatim(s)
    else this.#split(s)
  }

  #split(s: ts.Statement): void {
    if (ts.isBlock(s)) for (const inner of s.statements) this.#statement(inner)
    else if (ts.isExpressionStatement(s)) this.#flow.effectOnly(s.expression)
    else if (ts.isIfStatement(s)) this.#if(s)
    else if (ts.isWhileStatement(s)) this.#while(s, undefined)
    else if (ts.isDoStatement(s)) this.#do(s, undefined)
    else if (ts.isForStatement(s)) this.#for(s, undefined)
    else if (ts.isSwitchStatement(s)) this.#switch(s, undefined)
    else if (ts.isLabeledStatement(s)) this.#labelled(s)
    else if (ts.isReturnStatement(s)) {
      const value = s.expression ? this.#flow.expression(s.expression) : this.#flow.nothing()
      this.#flow.end({ kind: 'return', value })
      this.#flow.current = this.#flow.block()
    } else if (ts.isThrowStatement(s)) {
      this.#flow.end({ kind: 'throw', value: this.#flow.expression(s.expression) })
      this.#flow.current = this.#flow.block()
    } else if (ts.isBreakOrContinueStatement(s)) this.#jump(s)
    else this.#flow.reject(s, `a ${ts.SyntaxKind[s.kind]} cannot contain or span a yield`)
  }

  #verbatim(s: ts.Statement): void {
    if (ts.isEmptyStatement(s)) return
    const simple = this.#simpleAssignment(s)
    const item = this.#flow.emit(s)
    // Only a plain assignment is sure to happen; other code may leave a local as it was.
    const defs = simple === undefined ? NOTHING : new Set([simple])
    const uses = new Set(item.uses)
    if (simple !== undefined && !this.#reads(s, simple)) uses.delete(simple)
    this.#flow.current.items.push({ text: item.text, uses, defs })
  }

  /** The local that a statement `x = …` assigns. */
  #simpleAssignment(s: ts.Statement): Local | undefined {
    if (!ts.isExpressionStatement(s) || !ts.isBinaryExpression(s.expression)) return undefined
    const { left, operatorToken } = s.expression
    if (operatorToken.kind !== ts.SyntaxKind.EqualsToken || !ts.isIdentifier(left)) return undefined
    return this.#flow.localOf(left)
  }

  #reads(s: ts.Statement, local: Local): boolean {
    const { right } = (s as ts.ExpressionStatement).expression as ts.BinaryExpression
    return this.#flow.emit(right).uses.has(local)
  }

  #variables(list: ts.VariableDeclarationList): void {
    for (const d of list.declarations) {
      if (!ts.isIdentifier(d.name)) {
        this.#flow.reject(d, 'destructuring is not allowed in a kernel function')
        continue
      }
      const local = this.#flow.declare(d.name)
      if (d.initializer === undefined) continue
      this.#flow.assign(local, this.#flow.expression(d.initializer))
    }
  }

  #if(s: ts.IfStatement): void {
    const yes = this.#flow.block()
    const after = this.#flow.block()
    const no = s.elseStatement ? this.#flow.block() : after
    this.#flow.condition(s.expression, yes, no)
    this.#flow.current = yes
    this.#statement(s.thenStatement)
    this.#flow.end({ kind: 'jump', to: after })
    if (s.elseStatement) {
      this.#flow.current = no
      this.#statement(s.elseStatement)
      this.#flow.end({ kind: 'jump', to: after })
    }
    this.#flow.current = after
  }

  #isTrue(e: ts.Expression | undefined): boolean {
    return e === undefined || e.kind === ts.SyntaxKind.TrueKeyword
  }

  #while(s: ts.WhileStatement, label: string | undefined): void {
    const head = this.#flow.block()
    const body = this.#flow.block()
    const after = this.#flow.block()
    this.#flow.goTo(head)
    if (this.#isTrue(s.expression)) this.#flow.end({ kind: 'jump', to: body })
    else this.#flow.condition(s.expression, body, after)
    this.#body(s.statement, { label, breakTo: after, continueTo: head }, body, head)
    this.#flow.current = after
  }

  #body(s: ts.Statement, target: Target, body: Block, next: Block): void {
    this.#flow.current = body
    this.#targets.push(target)
    this.#statement(s)
    this.#targets.pop()
    this.#flow.end({ kind: 'jump', to: next })
  }

  #do(s: ts.DoStatement, label: string | undefined): void {
    const body = this.#flow.block()
    const test = this.#flow.block()
    const after = this.#flow.block()
    this.#flow.goTo(body)
    this.#body(s.statement, { label, breakTo: after, continueTo: test }, body, test)
    this.#flow.current = test
    this.#flow.condition(s.expression, body, after)
    this.#flow.current = after
  }

  #for(s: ts.ForStatement, label: string | undefined): void {
    if (s.initializer !== undefined) {
      if (ts.isVariableDeclarationList(s.initializer)) this.#variables(s.initializer)
      else this.#flow.effectOnly(s.initializer)
    }
    const head = this.#flow.block()
    const body = this.#flow.block()
    const step = this.#flow.block()
    const after = this.#flow.block()
    this.#flow.goTo(head)
    if (this.#isTrue(s.condition)) this.#flow.end({ kind: 'jump', to: body })
    else this.#flow.condition(s.condition as ts.Expression, body, after)
    this.#body(s.statement, { label, breakTo: after, continueTo: step }, body, step)
    this.#flow.current = step
    if (s.incrementor) this.#flow.effectOnly(s.incrementor)
    this.#flow.end({ kind: 'jump', to: head })
    this.#flow.current = after
  }

  #switch(s: ts.SwitchStatement, label: string | undefined): void {
    const value = this.#flow.saved(s.expression)
    const after = this.#flow.block()
    const bodies = s.caseBlock.clauses.map(() => this.#flow.block())
    let fallback = after
    s.caseBlock.clauses.forEach((c, i) => {
      if (ts.isDefaultClause(c)) {
        fallback = bodies[i] as Block
        return
      }
      const test = this.#flow.expression(c.expression)
      const cond = this.#flow.text(this.#flow.dialect.isEqual(value.text, test.text), [
        ...value.uses,
        ...test.uses,
      ])
      const next = this.#flow.block()
      this.#flow.end({ kind: 'branch', cond, yes: bodies[i] as Block, no: next })
      this.#flow.current = next
    })
    this.#flow.end({ kind: 'jump', to: fallback })
    this.#targets.push({ label, breakTo: after, continueTo: undefined })
    s.caseBlock.clauses.forEach((c, i) => {
      this.#flow.current = bodies[i] as Block
      for (const inner of c.statements) this.#statement(inner)
      this.#flow.end({ kind: 'jump', to: bodies[i + 1] ?? after })
    })
    this.#targets.pop()
    this.#flow.current = after
  }

  #labelled(s: ts.LabeledStatement): void {
    const label = s.label.text
    const inner = s.statement
    if (ts.isWhileStatement(inner)) this.#while(inner, label)
    else if (ts.isDoStatement(inner)) this.#do(inner, label)
    else if (ts.isForStatement(inner)) this.#for(inner, label)
    else if (ts.isSwitchStatement(inner)) this.#switch(inner, label)
    else {
      const after = this.#flow.block()
      this.#targets.push({ label, breakTo: after, continueTo: undefined })
      this.#statement(inner)
      this.#targets.pop()
      this.#flow.goTo(after)
    }
  }

  #jump(s: ts.BreakOrContinueStatement): void {
    const isBreak = ts.isBreakStatement(s)
    for (let i = this.#targets.length - 1; i >= 0; i--) {
      const target = this.#targets[i] as Target
      if (s.label !== undefined && s.label.text !== target.label) continue
      const to = isBreak ? target.breakTo : target.continueTo
      if (to === undefined) continue
      this.#flow.end({ kind: 'jump', to })
      this.#flow.current = this.#flow.block()
      return
    }
    this.#flow.reject(s, 'nothing to jump out of')
  }
}
