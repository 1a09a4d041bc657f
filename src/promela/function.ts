/** Statements and whole plain functions of kernel code in C. */
import ts from 'typescript'
import { closureText } from './calls.js'
import {
  bigText,
  conditionText,
  expressionText,
  numberText,
  ofRecord,
  type Place,
  storeText,
  temporary,
} from './expression.js'
import type { PlainFunction, World } from './world.js'

/** Names that a function declares, by their symbols, on top of those around it. */
class Scope implements Place {
  readonly world: World
  readonly #outer: Place | undefined
  readonly #names = new Map<ts.Symbol, string>()

  constructor(world: World, outer: Place | undefined) {
    this.world = world
    this.#outer = outer
  }

  declare(name: ts.Identifier, text = this.world.localName(name.text)): string {
    this.#names.set(this.world.checker.getSymbolAtLocation(name) as ts.Symbol, text)
    return text
  }

  local = (name: ts.Identifier): string | undefined => {
    const symbol = ts.isShorthandPropertyAssignment(name.parent)
      ? this.world.checker.getShorthandAssignmentValueSymbol(name.parent)
      : this.world.checker.getSymbolAtLocation(name)
    const known = symbol && this.#names.get(symbol)
    return known ?? this.#outer?.local(name)
  }

  replaced = (node: ts.Node): string | undefined => this.#outer?.replaced(node)
  block = (body: ts.ConciseBody, place: Place): string => bodyText(body, place)
}

/** A place for code that declares names of its own. */
export function scopeIn(world: World, outer?: Place): Place {
  return new Scope(world, outer)
}

/** The parameters of a function, and the place in which its body stands. */
export function parametersText(
  f: ts.SignatureDeclaration,
  outer: Place,
): { text: string; inside: Place } {
  const { world } = outer
  const scope = new Scope(world, outer)
  const texts = f.parameters.map((p) => {
    if (p.dotDotDotToken !== undefined) world.refuse(p, 'rest parameters')
    if (!ts.isIdentifier(p.name)) return `V ${temporary()}`
    const type = world.typeOf(p.name)
    const name = scope.declare(p.name)
    if (isList(type, world)) return `const V *${name}`
    const c = world.cType(type)
    return c === 'F' ? `V (*${name})()` : `${c} ${name}`
  })
  return { text: texts.join(', '), inside: scope }
}

function isList(type: ts.Type, world: World): boolean {
  return world.checker.isArrayType(type)
}

/** `V name(V a, B b)` of a function. */
export function headText(
  name: string,
  f: ts.SignatureDeclaration,
  outer: Place,
): { text: string; inside: Place } {
  const { world } = outer
  const signature = world.checker.getSignatureFromDeclaration(f) as ts.Signature
  const result = world.cType(world.checker.getReturnTypeOfSignature(signature))
  if (result === 'F') world.refuse(f, 'a function that returns a function')
  const { text, inside } = parametersText(f, outer)
  return { text: `static ${result} ${name}(${text || 'void'})`, inside }
}

/** An ordinary function. @throws NotExpressible */
export function plainText(
  { name, source }: PlainFunction,
  world: World,
): { head: string; body: string } {
  const { text, inside } = headText(name, source, scopeIn(world))
  if (source.body === undefined) return world.refuse(source, 'a function without a body')
  return { head: text, body: bodyText(source.body, inside) }
}

/** A body as a block that returns a value. */
export function bodyText(body: ts.ConciseBody, place: Place): string {
  if (!ts.isBlock(body)) return `{ return ${expressionText(body, place)}; }`
  const defaults = ts.isFunctionLike(body.parent)
    ? body.parent.parameters.flatMap((p) => defaultText(p, place))
    : []
  const statements = body.statements.map((s) => statementText(s, place))
  return ['{', ...defaults, ...statements, 'return UNDEFINED;', '}'].join('\n')
}

function defaultText(p: ts.ParameterDeclaration, place: Place): string[] {
  if (p.initializer === undefined || !ts.isIdentifier(p.name)) return []
  const name = place.local(p.name) as string
  return [`if (${name} == UNDEFINED) ${name} = ${expressionText(p.initializer, place)};`]
}

/** A statement without yields. @throws NotExpressible */
export function statementText(s: ts.Statement, place: Place): string {
  const { world } = place
  if (ts.isEmptyStatement(s)) return ';'
  if (ts.isBlock(s)) {
    return `{ ${s.statements.map((inner) => statementText(inner, place)).join('\n')} }`
  }
  if (ts.isVariableStatement(s)) return declarationsText(s.declarationList, place)
  if (ts.isExpressionStatement(s)) return `${expressionText(s.expression, place)};`
  if (ts.isIfStatement(s)) return ifText(s, place)
  if (ts.isReturnStatement(s)) {
    return `return ${s.expression ? expressionText(s.expression, place) : 'UNDEFINED'};`
  }
  if (ts.isThrowStatement(s)) return `${throwText(s.expression, place)};`
  if (ts.isWhileStatement(s)) {
    return `while (${conditionText(s.expression, place)}) ${statementText(s.statement, place)}`
  }
  if (ts.isDoStatement(s)) {
    return `do ${statementText(s.statement, place)} while (${conditionText(s.expression, place)});`
  }
  if (ts.isForStatement(s)) return forText(s, place)
  if (ts.isForOfStatement(s)) return forOfText(s, place)
  if (ts.isSwitchStatement(s)) return switchText(s, place)
  if (ts.isBreakOrContinueStatement(s) && s.label === undefined) {
    return ts.isBreakStatement(s) ? 'break;' : 'continue;'
  }
  return world.refuse(s, `a ${ts.SyntaxKind[s.kind]} has no counterpart`)
}

function ifText(s: ts.IfStatement, place: Place): string {
  const then = `if (${conditionText(s.expression, place)}) ${braced(s.thenStatement, place)}`
  return s.elseStatement === undefined ? then : `${then} else ${braced(s.elseStatement, place)}`
}

/** In braces, so that an else stays with its if. */
function braced(s: ts.Statement, place: Place): string {
  return `{ ${statementText(s, place)} }`
}

function forText(s: ts.ForStatement, place: Place): string {
  const { initializer } = s
  const first =
    initializer === undefined
      ? ''
      : ts.isVariableDeclarationList(initializer)
        ? declarationsText(initializer, place)
        : `${expressionText(initializer, place)};`
  const test = s.condition === undefined ? '1' : conditionText(s.condition, place)
  const step = s.incrementor === undefined ? '' : expressionText(s.incrementor, place)
  return `{ ${first} for (; ${test}; ${step}) ${braced(s.statement, place)} }`
}

/** Over a list that is written down. */
function forOfText(s: ts.ForOfStatement, place: Place): string {
  const { world } = place
  let list: ts.Expression | undefined = s.expression
  while (list !== undefined && ts.isAsExpression(list)) list = list.expression
  if (list !== undefined && ts.isIdentifier(list)) {
    const declaration = world.declarationOf(list)
    list = declaration && ts.isVariableDeclaration(declaration) ? declaration.initializer : list
    while (list !== undefined && ts.isAsExpression(list)) list = list.expression
  }
  const declared = ts.isVariableDeclarationList(s.initializer)
    ? s.initializer.declarations[0]?.name
    : undefined
  if (list === undefined || !ts.isArrayLiteralExpression(list))
    return world.refuse(s, 'a loop over this')
  if (declared === undefined || !ts.isIdentifier(declared))
    return world.refuse(s, 'a loop over this')
  const [items, i] = [temporary(), temporary()]
  const values = list.elements.map((e) => expressionText(e, place))
  const name = declare(declared, place)
  return (
    `{ V ${items}[] = { ${values.join(', ')} }; ` +
    `for (int ${i} = 0; ${i} < ${values.length}; ${i}++) ` +
    `{ V ${name} = ${items}[${i}]; ${statementText(s.statement, place)} } }`
  )
}

function switchText(s: ts.SwitchStatement, place: Place): string {
  const clauses = s.caseBlock.clauses.map((c) => {
    const label = ts.isDefaultClause(c) ? 'default' : `case ${labelText(c.expression, place)}`
    return `${label}: {} ${c.statements.map((inner) => statementText(inner, place)).join('\n')}`
  })
  return `switch (${expressionText(s.expression, place)}) { ${clauses.join('\n')} }`
}

/** C wants a constant, written as one. */
function labelText(e: ts.Expression, place: Place): string {
  const { world } = place
  const type = world.typeOf(e)
  if (type.isNumberLiteral()) return numberText(type.value, e, world)
  if (type.isStringLiteral()) return world.text(type.value)
  if (type.flags & ts.TypeFlags.BigIntLiteral) return bigText(BigInt(e.getText().slice(0, -1)))
  return expressionText(e, place)
}

export function throwText(e: ts.Expression, place: Place): string {
  const { world } = place
  if (!ts.isNewExpression(e) || !ts.isIdentifier(e.expression))
    return world.refuse(e, 'a throw of this')
  const [id, kind] = e.arguments ?? []
  if (/^(Limit)?Error$/.test(e.expression.text)) {
    const text = id?.getText().replace(/[^\w .,:;()]/g, ' ') ?? ''
    return `give_up("${text.trim()}")`
  }
  if (e.expression.text !== 'KernelFault' || id === undefined || !ts.isStringLiteral(id)) {
    return world.refuse(e, 'a throw of this')
  }
  return `fault("${id.text}", ${kind?.getText() === "'oops'" ? 'OOPS' : 'UNDEFINED_BEHAVIOUR'})`
}

function declare(name: ts.Identifier, place: Place): string {
  if (place instanceof Scope) return place.declare(name)
  return place.world.refuse(name, 'a local here')
}

function declarationsText(list: ts.VariableDeclarationList, place: Place): string {
  return list.declarations.map((d) => declarationText(d, place)).join(' ')
}

function declarationText(d: ts.VariableDeclaration, place: Place): string {
  const { world } = place
  const { name, initializer } = d
  if (ts.isObjectBindingPattern(name)) return fieldsText(name, initializer, place)
  if (ts.isArrayBindingPattern(name)) return elementsText(name, initializer, place)
  if (initializer !== undefined && ts.isArrowFunction(initializer)) {
    return closureText(declare(name, place), initializer, place)
  }
  const c = world.cType(world.typeOf(name))
  if (c === 'F') world.refuse(d, 'a function in a local')
  const value = initializer === undefined ? 'UNDEFINED' : expressionText(initializer, place)
  return `${c} ${declare(name, place)} = ${value};`
}

/** `const { a, b } = object`. */
function fieldsText(
  pattern: ts.ObjectBindingPattern,
  initializer: ts.Expression | undefined,
  place: Place,
): string {
  const { world } = place
  if (initializer === undefined) return world.refuse(pattern, 'a pattern without a value')
  const object = temporary()
  const struct = world.structOf(world.typeOf(initializer))
  const parts = pattern.elements.map((b) => {
    const field = (b.propertyName ?? b.name).getText()
    if (!ts.isIdentifier(b.name)) return world.refuse(b, 'a pattern in a pattern')
    if (struct?.fields.has(field) !== true) {
      const type = world.typeOf(initializer)
      const part = struct === undefined ? ofRecord(object, type, field, world) : undefined
      if (part === undefined) return world.refuse(b, `a field ${field} of this`)
      return `__auto_type ${declare(b.name, place)} = ${part};`
    }
    const isWide = struct.fields.get(field)?.field.kind === 'i64'
    const get = isWide ? 'B' : 'V'
    const value = `${isWide ? 'get_big' : 'get'}(${object}, ${struct.name}_${field})`
    return `${get} ${declare(b.name, place)} = ${value};`
  })
  return `V ${object} = ${expressionText(initializer, place)}; ${parts.join(' ')}`
}

/** `const [a, b] = args`: of a list of values, or of one that is written down. */
function elementsText(
  pattern: ts.ArrayBindingPattern,
  initializer: ts.Expression | undefined,
  place: Place,
): string {
  const { world } = place
  let list = initializer
  while (list !== undefined && ts.isAsExpression(list)) list = list.expression
  const name = list !== undefined && ts.isIdentifier(list) ? place.local(list) : undefined
  if (list !== undefined && ts.isCallExpression(list)) return tupleParts(pattern, list, place)
  return pattern.elements
    .map((b, i) => {
      if (ts.isOmittedExpression(b)) return ''
      if (!ts.isIdentifier(b.name)) return world.refuse(b, 'a pattern in a pattern')
      if (name !== undefined) return `V ${declare(b.name, place)} = ${name}[${i}];`
      return `V ${declare(b.name, place)} = ${itemText(list, i, pattern, place)};`
    })
    .join(' ')
}

/** The parts of a tuple that a function returns. */
function tupleParts(pattern: ts.ArrayBindingPattern, e: ts.Expression, place: Place): string {
  const { world } = place
  const types = world.checker.getTypeArguments(world.typeOf(e) as ts.TypeReference)
  const tuple = temporary()
  const layout = world.layout(types.map((_, i) => `${i}`))
  const parts = pattern.elements.map((b, i) => {
    if (ts.isOmittedExpression(b)) return ''
    if (!ts.isIdentifier(b.name)) return world.refuse(b, 'a pattern in a pattern')
    const c = world.cType(types[i] as ts.Type)
    return `${c} ${declare(b.name, place)} = (${c})record_get(${tuple}, ${layout}, ${i});`
  })
  return `V ${tuple} = ${expressionText(e, place)}; ${parts.join(' ')}`
}

function itemText(list: ts.Expression | undefined, i: number, node: ts.Node, place: Place): string {
  if (list !== undefined && ts.isConditionalExpression(list)) {
    const parts = [list.whenTrue, list.whenFalse].map((l) => itemText(l, i, node, place))
    return `(${conditionText(list.condition, place)} ? ${parts.join(' : ')})`
  }
  const item =
    list !== undefined && ts.isArrayLiteralExpression(list) ? list.elements[i] : undefined
  if (item === undefined) return place.world.refuse(node, 'a pattern of this')
  return expressionText(item, place)
}

export { storeText }
