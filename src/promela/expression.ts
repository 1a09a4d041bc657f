/**
 * Expressions of kernel code in C. Numbers are whole; pointers carry their struct; the order of
 * evaluation is JavaScript's, so what C leaves open is spelled out with temporaries.
 */
import ts from 'typescript'
import { callText } from './calls.js'
import { throwText } from './function.js'
import type { World } from './world.js'

/** Where an expression stands. */
export interface Place {
  readonly world: World
  /** In C, the name of a local or parameter; undefined for what is declared elsewhere. */
  local(name: ts.Identifier): string | undefined
  /** What stands for a sub-expression that was taken out before. */
  replaced(node: ts.Node): string | undefined
  /** The body of a function, as a block; for closures. */
  block(body: ts.ConciseBody, place: Place): string
}

let temporaries = 0

/** A name for a temporary. */
export function temporary(): string {
  return `x${++temporaries}`
}

/** Does it matter when this is evaluated? */
function isSimple(text: string): boolean {
  return /^[\w$]+$/.test(text)
}

/** Evaluate from left to right, then combine. */
export function inOrder(texts: readonly string[], combine: (values: string[]) => string): string {
  if (texts.filter((t) => !isSimple(t)).length < 2) return combine([...texts])
  const names = texts.map((t) => (isSimple(t) ? t : temporary()))
  const lets = texts.flatMap((t, i) => (isSimple(t) ? [] : [`__auto_type ${names[i]} = ${t};`]))
  return `({ ${lets.join(' ')} ${combine(names)}; })`
}

function isBig(e: ts.Expression, { world }: Place): boolean {
  return world.cType(world.typeOf(e)) === 'B'
}

/** A condition as C has it. */
export function conditionText(e: ts.Expression, place: Place): string {
  const text = expressionText(e, place)
  return isBig(e, place) ? `(${text} != 0)` : `truth(${text})`
}

export function numberText(n: number, node: ts.Node, world: World): string {
  if (!Number.isSafeInteger(n)) world.refuse(node, `${n} is no whole number`)
  return Math.abs(n) < 2 ** 15 ? `${n}` : `${n}LL`
}

export function bigText(n: bigint): string {
  if (n < 0n) return `(-${bigText(-n)})`
  const high = n >> 63n
  const low = `((B)${n & ((1n << 63n) - 1n)}LL)`
  return high === 0n ? low : `(((B)${high}LL << 63) + ${low})`
}

/** The text of an expression. @throws NotExpressible */
export function expressionText(e: ts.Expression, place: Place): string {
  const replaced = place.replaced(e)
  if (replaced !== undefined) return replaced
  const { world } = place
  if (ts.isParenthesizedExpression(e) || ts.isNonNullExpression(e) || ts.isAsExpression(e)) {
    return expressionText(e.expression, place)
  }
  if (ts.isSatisfiesExpression(e)) return expressionText(e.expression, place)
  if (ts.isNumericLiteral(e)) return numberText(Number(e.text), e, world)
  if (ts.isBigIntLiteral(e)) return bigText(BigInt(e.text.slice(0, -1)))
  if (ts.isStringLiteral(e)) return world.text(e.text)
  if (ts.isTemplateExpression(e) || ts.isNoSubstitutionTemplateLiteral(e)) return 'TEXT'
  if (e.kind === ts.SyntaxKind.TrueKeyword) return '1'
  if (e.kind === ts.SyntaxKind.FalseKeyword || e.kind === ts.SyntaxKind.NullKeyword) return '0'
  if (ts.isIdentifier(e)) return identifierText(e, place)
  if (ts.isPropertyAccessExpression(e)) return propertyText(e, place)
  if (ts.isElementAccessExpression(e)) return elementText(e, place)
  if (ts.isCallExpression(e)) return callText(e, place)
  if (ts.isConditionalExpression(e)) return conditionalText(e, place)
  if (ts.isPrefixUnaryExpression(e)) return prefixText(e, place)
  if (ts.isPostfixUnaryExpression(e)) return stepText(e.operand, e.operator, false, place)
  if (ts.isBinaryExpression(e)) return binaryExpression(e, place)
  if (ts.isObjectLiteralExpression(e)) return recordText(e, place)
  if (ts.isArrayLiteralExpression(e)) return tupleText(e, place)
  if (ts.isNewExpression(e)) {
    return e.expression.getText() === 'Map' ? 'map_new()' : throwText(e, place)
  }
  if (ts.isVoidExpression(e)) return `((void)${expressionText(e.expression, place)}, UNDEFINED)`
  return world.refuse(e, `a ${ts.SyntaxKind[e.kind]} has no counterpart`)
}

/** `{ a, b }`, a record that lives until the step ends. */
function recordText(e: ts.ObjectLiteralExpression, place: Place): string {
  const { world } = place
  const names: string[] = []
  const texts = e.properties.map((p) => {
    if (p.name === undefined || !ts.isIdentifier(p.name)) return world.refuse(p, 'such a property')
    names.push(p.name.text)
    if (ts.isPropertyAssignment(p)) return expressionText(p.initializer, place)
    if (ts.isShorthandPropertyAssignment(p)) return identifierText(p.name, place)
    return world.refuse(p, 'such a property')
  })
  const sorted = [...names].sort()
  return inOrder(texts, (values) => {
    const list = sorted.map((n) => values[names.indexOf(n)]).join(', ')
    return `record(${world.layout(sorted)}, ${names.length}, (B[]){ ${list} })`
  })
}

function tupleText(e: ts.ArrayLiteralExpression, place: Place): string {
  const { world } = place
  const texts = e.elements.map((item) => expressionText(item, place))
  const layout = world.layout(texts.map((_, i) => `${i}`))
  return inOrder(texts, (values) => {
    return `record(${layout}, ${values.length}, (B[]){ ${values.join(', ')} })`
  })
}

function isCalled(property: ts.Symbol, { checker }: World): boolean {
  const type = checker.getNonNullableType(checker.getTypeOfSymbol(property))
  return type.getCallSignatures().length > 0
}

/** A property of a record; undefined if the type is none. */
export function ofRecord(
  record: string,
  type: ts.Type,
  name: string,
  world: World,
): string | undefined {
  const plain = world.checker.getNonNullableType(type)
  const isRecord = plain.flags & ts.TypeFlags.Object && plain.getProperty('at') === undefined
  if (!isRecord || plain.getCallSignatures().length > 0) return undefined
  // A table of operations is a number there, and has functions, as no record has.
  if (plain.getProperties().some((p) => isCalled(p, world))) return undefined
  const names = world.checker
    .getPropertiesOfType(plain)
    .map((p) => p.name)
    .sort()
  const i = names.indexOf(name)
  const symbol = plain.getProperty(name)
  if (i < 0 || symbol === undefined) return undefined
  const c = world.cType(world.checker.getTypeOfSymbol(symbol))
  return `((${c})record_get(${record}, ${world.layout(names)}, ${i}))`
}

function conditionalText(e: ts.ConditionalExpression, place: Place): string {
  const [yes, no] = [expressionText(e.whenTrue, place), expressionText(e.whenFalse, place)]
  return `(${conditionText(e.condition, place)} ? ${yes} : ${no})`
}

function identifierText(e: ts.Identifier, place: Place): string {
  const { world } = place
  if (e.text === 'undefined') return 'UNDEFINED'
  const local = place.local(e)
  if (local !== undefined) return local
  const declaration = world.declarationOf(e)
  if (declaration === undefined) return world.refuse(e, `${e.text} is not declared`)
  if (world.typeName(world.typeOf(e)) === 'Report') return '0'
  if (ts.isBindingElement(declaration) && e.text === 'crashed') return 'anybody_died()'
  const file = world.machineFile(declaration)
  if (file === 'task' && e.text === 'currentAt') return 'current_at'
  if (file === 'arena' && e.text === 'noting') return '0'
  if (file === 'blob' && /^(ZERO|STALE)_PAGE$/.test(e.text)) return e.text
  const kernel = world.kernelFunctionAt(declaration)
  if (kernel !== undefined) return kernel.name
  // Evaluated before the arguments if one of those has a yield; `callText` looks at the name.
  if (ts.isCallExpression(e.parent) && e.parent.expression === e) return e.text
  const table = world.opsNumberAt(declaration)
  if (table !== undefined) return `${table}`
  if (world.typeName(world.typeOf(e)) === 'Struct') return `S_${structName(e, declaration, world)}`
  const constant = constantOf(e, place)
  if (constant !== undefined) return constant
  if (ts.isVariableDeclaration(declaration) && isConst(declaration)) {
    const { initializer } = declaration
    if (initializer !== undefined) return `(${expressionText(initializer, nowhere(place))})`
  }
  return world.refuse(e, `${e.text} is no constant, local or function`)
}

function isConst(declaration: ts.VariableDeclaration): boolean {
  return (ts.getCombinedNodeFlags(declaration) & ts.NodeFlags.Const) !== 0
}

/** The struct that `const X = struct<X>('X', …)` declares, under another name too. */
function structName(e: ts.Identifier, declaration: ts.Declaration, world: World): string {
  const initializer = ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined
  let inner = initializer
  while (inner !== undefined && ts.isAsExpression(inner)) inner = inner.expression
  if (inner !== undefined && ts.isIdentifier(inner)) {
    return structName(inner, world.declarationOf(inner) as ts.Declaration, world)
  }
  const name = inner !== undefined && ts.isCallExpression(inner) ? inner.arguments[0] : undefined
  if (name !== undefined && ts.isStringLiteral(name)) return name.text
  return world.refuse(e, `${e.text} is a struct that is only known at run time`)
}

/** A place in which no locals are known: where constants are declared. */
function nowhere(place: Place): Place {
  return { ...place, local: () => undefined, replaced: () => undefined }
}

/** The value of a constant, where TypeScript knows it. */
function constantOf(e: ts.Expression, { world }: Place): string | undefined {
  const type = world.typeOf(e)
  if (type.isNumberLiteral()) return numberText(type.value, e, world)
  if (type.flags & ts.TypeFlags.BigIntLiteral) {
    const { negative, base10Value } = (type as ts.BigIntLiteralType).value
    return bigText(negative ? -BigInt(base10Value) : BigInt(base10Value))
  }
  return undefined
}

function propertyText(e: ts.PropertyAccessExpression, place: Place): string {
  const { world } = place
  const field = e.name.text
  const constant = ofConstant(e, place)
  if (constant !== undefined) return constant
  const object = expressionText(e.expression, place)
  if (e.questionDotToken === undefined) return fieldText(object, e.expression, field, place)
  const x = temporary()
  const then = fieldText(x, e.expression, field, place)
  if (isBig(e, place)) world.refuse(e, 'an optional bigint')
  return `({ V ${x} = ${object}; ${x} == 0 || ${x} == UNDEFINED ? UNDEFINED : ${then}; })`
}

/** `TASK.DONE`, `Number.MAX_SAFE_INTEGER`: a property of a constant object. */
function ofConstant(e: ts.PropertyAccessExpression, place: Place): string | undefined {
  const { world } = place
  if (!ts.isIdentifier(e.expression) || place.local(e.expression) !== undefined) return undefined
  if (e.expression.text === 'Number') {
    if (e.name.text === 'MAX_SAFE_INTEGER') return `${2 ** 53 - 1}LL`
    if (e.name.text === 'POSITIVE_INFINITY') return 'INFINITE'
  }
  const declaration = world.declarationOf(e.name)
  if (declaration === undefined || !ts.isPropertyAssignment(declaration)) return undefined
  return constantOf(e, place) ?? `(${expressionText(declaration.initializer, nowhere(place))})`
}

/** A property of an object whose text is known. */
function fieldText(object: string, e: ts.Expression, field: string, place: Place): string {
  const { world } = place
  const type = world.typeOf(e)
  const name = world.typeName(type)
  if (name === 'Struct') {
    if (!/^(id|words|base|capacity)$/.test(field)) return 'TEXT'
    return `structs[${object}].${field}`
  }
  if (/^(Vec|PtrVec)$/.test(name) && field === 'length') return `vec_length(${object})`
  if (/(Ops|Operations)$/.test(name)) return `ops_slot(${object}, ${world.slot(field)})`
  if (field === 'at') return `at_of(${object})`
  if (name === 'Context' && field === 'crashed') return 'anybody_died()'
  if (world.structOf(type) === undefined) {
    const part = ofRecord(object, type, field, world)
    if (part !== undefined) return part
  }
  const f = world.fieldOf(e, field)
  const kind = world.structOf(type)?.fields.get(field)?.field.kind
  return `${kind === 'i64' ? 'get_big' : 'get'}(${object}, ${f})`
}

function elementText(e: ts.ElementAccessExpression, place: Place): string {
  const { world } = place
  if (ts.isIdentifier(e.expression) && e.expression.text === 'mem') {
    return `rd(${expressionText(e.argumentExpression, place)})`
  }
  const list = ts.isIdentifier(e.expression) ? place.local(e.expression) : undefined
  if (list === undefined) return world.refuse(e, 'an array')
  return `((V)${list}[${expressionText(e.argumentExpression, place)}])`
}

function prefixText(e: ts.PrefixUnaryExpression, place: Place): string {
  switch (e.operator) {
    case ts.SyntaxKind.PlusPlusToken:
    case ts.SyntaxKind.MinusMinusToken:
      return stepText(e.operand, e.operator, true, place)
    case ts.SyntaxKind.ExclamationToken:
      return `(!${conditionText(e.operand, place)})`
    case ts.SyntaxKind.TildeToken: {
      const inner = expressionText(e.operand, place)
      return isBig(e.operand, place) ? `(~${inner})` : `((V)~(int32_t)${inner})`
    }
    case ts.SyntaxKind.MinusToken:
      return `(-${expressionText(e.operand, place)})`
    default:
      return expressionText(e.operand, place)
  }
}

/** `x++` and its like; `isNew`: the value is the new one. */
function stepText(
  target: ts.Expression,
  operator: ts.SyntaxKind,
  isNew: boolean,
  place: Place,
): string {
  const sign = operator === ts.SyntaxKind.PlusPlusToken ? '+' : '-'
  return updateText(target, place, (old) => `(${old} ${sign} 1)`, isNew)
}

/** Read a place, compute, write it. */
function updateText(
  target: ts.Expression,
  place: Place,
  next: (old: string) => string,
  isNew: boolean,
): string {
  const [old, now] = [temporary(), temporary()]
  const result = isNew ? now : old
  if (ts.isPropertyAccessExpression(target)) {
    const object = temporary()
    const get = fieldText(object, target.expression, target.name.text, place)
    const set = setText(object, target, now, place)
    return (
      `({ V ${object} = ${expressionText(target.expression, place)}; __auto_type ${old} = ${get}; ` +
      `__auto_type ${now} = ${next(old)}; ${set}; ${result}; })`
    )
  }
  const name = expressionText(target, place)
  return (
    `({ __auto_type ${old} = ${name}; __auto_type ${now} = ${next(old)}; ` +
    `${name} = ${now}; ${result}; })`
  )
}

function setText(
  object: string,
  target: ts.PropertyAccessExpression,
  value: string,
  { world }: Place,
): string {
  const field = target.name.text
  const f = world.fieldOf(target.expression, field)
  const kind = world.structOf(world.typeOf(target.expression))?.fields.get(field)?.field.kind
  return `${kind === 'i64' ? 'set_big' : 'set'}(${object}, ${f}, ${value})`
}

/** `target = value`, the target being a local or a field. */
export function storeText(target: ts.Expression, value: string, place: Place): string {
  if (ts.isPropertyAccessExpression(target)) {
    const object = place.replaced(target.expression) ?? expressionText(target.expression, place)
    return inOrder([object, value], ([o = '', v = '']) => setText(o, target, v, place))
  }
  if (!ts.isIdentifier(target)) return place.world.refuse(target, 'an assignment to this')
  const name = place.local(target)
  if (name === undefined) return place.world.refuse(target, `${target.text} is state of JavaScript`)
  return `(${name} = ${value})`
}

function binaryExpression(e: ts.BinaryExpression, place: Place): string {
  const { world } = place
  const operator = e.operatorToken.getText()
  const value = (): string => expressionText(e.right, place)
  if (operator === '=') return storeText(e.left, value(), place)
  const compound = /^(\S+)=$/.exec(operator)?.[1]
  if (compound !== undefined && !/^([=!]=?|<|>)$/.test(compound)) {
    if (/^(&&|\|\||\?\?)$/.test(compound)) return assignIfText(e, compound, place)
    return updateText(e.left, place, (old) => binaryText(compound, old, value(), e, place), true)
  }
  if (operator === ',') return `((void)${expressionText(e.left, place)}, ${value()})`
  if (operator === '&&' || operator === '||') return logicalText(e, operator, place)
  if (operator === '??') {
    const x = temporary()
    const test = isThereText(x, e.left, place)
    return `({ __auto_type ${x} = ${expressionText(e.left, place)}; ${test} ? ${x} : ${value()}; })`
  }
  if (/^[<>]=?$/.test(operator) && isQuotient(e.right)) {
    const { left, right } = e.right
    const by = world.typeOf(right)
    if (by.isNumberLiteral() && by.value > 0) {
      const parts = [expressionText(e.left, place), expressionText(left, place)]
      return inOrder(parts, ([a, b]) => `(${a} * ${by.value} ${operator} ${b})`)
    }
  }
  return inOrder([expressionText(e.left, place), value()], ([a = '', b = '']) =>
    binaryText(operator, a, b, e, place),
  )
}

function isQuotient(e: ts.Expression): e is ts.BinaryExpression {
  return ts.isBinaryExpression(e) && e.operatorToken.kind === ts.SyntaxKind.SlashToken
}

/** `x ||= y` for a local. */
function assignIfText(e: ts.BinaryExpression, operator: string, place: Place): string {
  const name = ts.isIdentifier(e.left) ? place.local(e.left) : undefined
  if (name === undefined || operator === '??') return place.world.refuse(e, `${operator}=`)
  const set = `(${name} = ${expressionText(e.right, place)})`
  const [yes, no] = operator === '&&' ? [set, name] : [name, set]
  return `(${conditionText(e.left, place)} ? ${yes} : ${no})`
}

function isBoolean(e: ts.Expression, { world }: Place): boolean {
  return (world.typeOf(e).flags & ts.TypeFlags.BooleanLike) !== 0
}

function logicalText(e: ts.BinaryExpression, operator: string, place: Place): string {
  if (isBoolean(e.left, place) && isBoolean(e.right, place)) {
    return `(${conditionText(e.left, place)} ${operator} ${conditionText(e.right, place)})`
  }
  const x = temporary()
  const [left, right] = [expressionText(e.left, place), expressionText(e.right, place)]
  const test = isBig(e.left, place) ? `${x} != 0` : `truth(${x})`
  const [yes, no] = operator === '&&' ? [right, x] : [x, right]
  return `({ __auto_type ${x} = ${left}; ${test} ? ${yes} : ${no}; })`
}

/** Is a value, whose text is simple, neither null nor undefined? */
function isThereText(x: string, e: ts.Expression, place: Place): string {
  const { world } = place
  const type = world.checker.getNonNullableType(world.typeOf(e))
  const isNumber = (type.flags & (ts.TypeFlags.NumberLike | ts.TypeFlags.BooleanLike)) !== 0
  return isNumber || isBig(e, place) ? `${x} != UNDEFINED` : `truth(${x})`
}

const WORD_OPERATORS: Readonly<Record<string, (a: string, b: string) => string>> = {
  '&': (a, b) => `((V)((int32_t)${a} & (int32_t)${b}))`,
  '|': (a, b) => `((V)((int32_t)${a} | (int32_t)${b}))`,
  '^': (a, b) => `((V)((int32_t)${a} ^ (int32_t)${b}))`,
  '<<': (a, b) => `((V)(int32_t)((uint32_t)${a} << (${b} & 31)))`,
  '>>': (a, b) => `((V)((int32_t)${a} >> (${b} & 31)))`,
  '>>>': (a, b) => `((V)((uint32_t)${a} >> (${b} & 31)))`,
}

/** An operator between two texts; the types are those of the expression's operands. */
export function binaryText(
  operator: string,
  a: string,
  b: string,
  e: ts.BinaryExpression,
  place: Place,
): string {
  const big = isBig(e.left, place)
  const word = WORD_OPERATORS[operator]
  if (!big && word !== undefined) return word(a, b)
  if (operator === '/' && !big) return place.world.refuse(e, 'a division that may leave a fraction')
  if (operator === '+' && place.world.typeOf(e.left).flags & ts.TypeFlags.StringLike) return 'TEXT'
  if (operator === '**') return `power(${a}, ${b})`
  const same = /^([=!])==?$/.exec(operator)?.[1]
  if (same !== undefined) return `(${a} ${same}= ${b})`
  if (!/^(\+|-|\*|\/|%|<|<=|>|>=|&|\||\^|<<|>>)$/.test(operator)) {
    return place.world.refuse(e, `the operator ${operator}`)
  }
  return `(${a} ${operator} ${b})`
}
