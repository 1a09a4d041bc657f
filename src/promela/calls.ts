/** Calls of kernel code in C: of other functions, of the machine, and of what JavaScript brings. */
import ts from 'typescript'
import { lockClass } from '../machine/task.js'
import { expressionText, inOrder, type Place, temporary } from './expression.js'
import { parametersText } from './function.js'
import type { CType, World } from './world.js'

/** The text of a call. @throws NotExpressible */
export function callText(e: ts.CallExpression, place: Place): string {
  const { world } = place
  const callee = e.expression
  if (ts.isPropertyAccessExpression(callee)) return methodText(e, callee, place)
  if (!ts.isIdentifier(callee)) return world.refuse(e, 'a call of this')
  if (world.typeName(world.typeOf(callee)) === 'Report') return reportText(e, place)
  const local = place.local(callee)
  if (local !== undefined) {
    return inOrder(argumentTexts(e, place), (args) => `${local}(${args.join(', ')})`)
  }
  const declaration = world.declarationOf(callee)
  if (declaration === undefined) return builtin(callee.text, e, place)
  const file = world.machineFile(declaration)
  const known = file === undefined ? undefined : MACHINE[`${file}.${callee.text}`]
  if (known !== undefined) return known(e, place)
  const kernel = world.kernelFunctionAt(declaration)
  if (kernel !== undefined) {
    if (kernel.source.asteriskToken !== undefined) world.refuse(e, 'a call without yield*')
    return ordered(`${kernel.name}_run`, e, kernel.source.parameters, place)
  }
  const plain = plainAt(declaration)
  if (plain !== undefined) {
    return ordered(world.plainFunction(plain).name, e, plain.parameters, place)
  }
  if (declaration.getSourceFile().isDeclarationFile) return builtin(callee.text, e, place)
  return world.refuse(e, `${callee.text} is no function of the kernel`)
}

function plainAt(
  declaration: ts.Declaration,
): ts.FunctionDeclaration | ts.ArrowFunction | undefined {
  if (ts.isFunctionDeclaration(declaration) && declaration.body !== undefined) return declaration
  const initializer = ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined
  return initializer !== undefined && ts.isArrowFunction(initializer) ? initializer : undefined
}

/** A call with its arguments in order, and what is left out as undefined. */
function ordered(
  name: string,
  e: ts.CallExpression,
  parameters: readonly ts.ParameterDeclaration[],
  place: Place,
): string {
  return closuresFirst(e, place, (args) => {
    while (args.length < parameters.length) args.push('UNDEFINED')
    return inOrder(args, (values) => `${name}(${values.join(', ')})`)
  })
}

function argumentTexts(e: ts.CallExpression, place: Place): string[] {
  return e.arguments.map((a) => expressionText(a, place))
}

/** Functions that are written as arguments live as long as the call. */
function closuresFirst(
  e: ts.CallExpression,
  place: Place,
  call: (args: string[]) => string,
): string {
  const closures: string[] = []
  const args = e.arguments.map((a) => {
    if (!ts.isArrowFunction(a)) return expressionText(a, place)
    const name = temporary()
    closures.push(closureText(name, a, place))
    return name
  })
  const text = call(args)
  return closures.length === 0 ? text : `({ ${closures.join(' ')} ${text}; })`
}

/** A function inside a function, with the parameters that its caller passes. */
export function closureText(name: string, f: ts.ArrowFunction, place: Place): string {
  const { world } = place
  const signature = world.checker.getContextualType(f)?.getCallSignatures()[0]
  const types = (signature?.parameters ?? []).map(
    (p): CType => world.cType(world.checker.getTypeOfSymbol(p)),
  )
  const { text, inside } = parametersText(f, place)
  const extra = types.slice(f.parameters.length).map((t) => `${t} ${temporary()}`)
  const parameters = [...(text === '' ? [] : [text]), ...extra].join(', ') || 'void'
  return `V ${name}(${parameters}) ${inside.block(f.body, inside)}`
}

function reportText(e: ts.CallExpression, place: Place): string {
  const [id] = e.arguments
  if (id === undefined || !ts.isStringLiteral(id))
    return place.world.refuse(e, 'a computed finding')
  return `report("${id.text}")`
}

/** `x.f(…)`: a method of a vector or a struct, a slot of an ops table, or a library function. */
function methodText(
  e: ts.CallExpression,
  callee: ts.PropertyAccessExpression,
  place: Place,
): string {
  const { world } = place
  const method = callee.name.text
  const owner = callee.expression
  const name = world.typeName(world.typeOf(owner))
  if (ts.isIdentifier(owner) && /^(Math|Number|BigInt)$/.test(owner.text)) {
    return builtin(`${owner.text}.${method}`, e, place)
  }
  if (/^(Vec|PtrVec)$/.test(name) && /^(get|set)$/.test(method)) {
    const args = [expressionText(owner, place), ...argumentTexts(e, place)]
    return inOrder(args, (values) => `vec_${method}(${values.join(', ')})`)
  }
  if (name === 'Struct' && method === 'at') {
    const [at = ''] = argumentTexts(e, place)
    return `ref(${expressionText(owner, place)}, ${at})`
  }
  if (name === 'Context' && method === 'report') return reportText(e, place)
  if (name === 'LockTap') {
    const args = e.arguments.map((a) => expressionText(a, place))
    return `judge_${method === 'acquired' ? 'acquired' : 'might_sleep'}(${args.join(', ')})`
  }
  if (/(Ops|Operations)$/.test(name)) {
    const slot = expressionText(callee, place)
    return inOrder([slot, ...argumentTexts(e, place)], ([f, ...args]) => {
      const count = Math.max(1, args.length)
      return `(V)run_plain(${f}, (B[${count}]){ ${args.join(', ') || '0'} })`
    })
  }
  if (name === 'Map' && /^(get|set)$/.test(method)) {
    const args = [expressionText(owner, place), ...argumentTexts(e, place)]
    return inOrder(args, (values) => `map_${method}(${values.join(', ')})`)
  }
  if (method === 'includes') return includesText(e, owner, place)
  return world.refuse(e, `a call of ${method}()`)
}

/** `[A, B].includes(x)`, also by a constant's name. */
function includesText(e: ts.CallExpression, owner: ts.Expression, place: Place): string {
  const { world } = place
  const declaration = ts.isIdentifier(owner) ? world.declarationOf(owner) : undefined
  const list =
    declaration !== undefined && ts.isVariableDeclaration(declaration)
      ? declaration.initializer
      : owner
  if (list === undefined || !ts.isArrayLiteralExpression(list)) return world.refuse(e, 'an array')
  const [value = ''] = argumentTexts(e, place)
  const x = temporary()
  const tests = list.elements.map((item) => `${x} == ${expressionText(item, place)}`)
  return `({ __auto_type ${x} = ${value}; ${tests.join(' || ') || '0'}; })`
}

/** What JavaScript itself has. */
function builtin(name: string, e: ts.CallExpression, place: Place): string {
  const { world } = place
  const [first] = e.arguments
  if (name === 'Math.floor' && first?.getText().startsWith('Math.log2(') === true) {
    return expressionText(first, place)
  }
  if (name === 'Math.floor' && first !== undefined && ts.isBinaryExpression(first)) {
    if (first.operatorToken.kind === ts.SyntaxKind.SlashToken) {
      const parts = [expressionText(first.left, place), expressionText(first.right, place)]
      return inOrder(parts, ([a, b]) => `floor_div(${a}, ${b})`)
    }
  }
  const args = argumentTexts(e, place)
  const [a = '', b = ''] = args
  switch (name) {
    case 'Math.max':
    case 'Math.min':
      return inOrder(args, (values) => extremeText(values, name === 'Math.max' ? '>' : '<'))
    case 'Math.floor':
    case 'Math.trunc':
      return a
    case 'Math.log2':
      if (!/^Math\.floor\(/.test(e.parent.getText())) return world.refuse(e, 'a logarithm')
      return `floor_log2(${a})`
    case 'Math.abs':
      return `llabs(${a})`
    case 'Number':
      return `((V)${a})`
    case 'BigInt':
      return `((B)${a})`
    case 'BigInt.asUintN':
    case 'BigInt.asIntN': {
      const bits = e.arguments[0]?.getText()
      if (bits !== '32' && bits !== '64') return world.refuse(e, `${bits} bits`)
      return `((B)(${name === 'BigInt.asIntN' ? '' : 'u'}int${bits}_t)${b})`
    }
    default:
      return world.refuse(e, `a call of ${name}()`)
  }
}

function extremeText(values: readonly string[], sign: string): string {
  return values.reduce((a, b) => `(${a} ${sign} ${b} ? ${a} : ${b})`)
}

type Emit = (e: ts.CallExpression, place: Place) => string

/** A function of the hand-written part with the same arguments. */
function same(name: string): Emit {
  return (e, place) =>
    closuresFirst(e, place, (args) => inOrder(args, (values) => `${name}(${values.join(', ')})`))
}

/** Only the first `n` arguments; those behind are for people. */
function firstOf(n: number, name: string): Emit {
  return (e, place) => {
    const args = e.arguments.slice(0, n).map((a) => expressionText(a, place))
    return `${name}(${args.join(', ')})`
  }
}

function literal(e: ts.CallExpression, i: number, world: World): string {
  const arg = e.arguments[i]
  if (arg === undefined || !ts.isStringLiteral(arg)) return world.refuse(e, 'a computed name')
  return arg.text
}

/** Announcements: `until(object, 'field', value)`. */
function effect(kind: string, index: number, value: number): Emit {
  return (e, place) => {
    const object = e.arguments[0] as ts.Expression
    const f = place.world.fieldOf(object, literal(e, 1, place.world))
    const at = (i: number): string =>
      i < 0 ? '0' : expressionText(e.arguments[i] as ts.Expression, place)
    return inOrder([expressionText(object, place), at(index), at(value)], ([o, i, v]) => {
      return `effect(${kind}, ${v}, address_of(${o}, ${f}) + ${i})`
    })
  }
}

/** Evaluates its arguments and does nothing. */
const nothing: Emit = (e, place) => {
  const args = e.arguments
    .filter((a) => !ts.isStringLiteral(a))
    .map((a) => expressionText(a, place))
  return args.length === 0
    ? 'UNDEFINED'
    : `(${args.map((a) => `(void)${a}`).join(', ')}, UNDEFINED)`
}

/** The functions of blob.ts are written by hand, in blob.c. */
const BLOBS: Readonly<Record<string, Emit>> = Object.fromEntries(
  ['withBytes', 'byteAt', 'isResidue', 'residueOf'].map((f) => [`blob.${f}`, same(f)]),
)

/** What the hand-written part has in place of functions of the machine. */
const MACHINE: Readonly<Record<string, Emit>> = {
  ...BLOBS,
  'arena.poke': same('poke'),
  'arena.note': nothing,
  'struct.constructAt': same('construct_at'),
  'struct.destroyAt': same('destroy_at'),
  'struct.vanishAt': same('vanish_at'),
  'struct.structOf': same('struct_of'),
  'struct.handleAt': same('handle_at'),
  'struct.errPtr': same('ref'),
  'struct.isErr': same('is_err'),
  'struct.ptrErr': same('at_of'),
  'struct.isAlive': same('is_alive'),
  'struct.numberIn': same('number_in'),
  'struct.headerAt': (e, place) =>
    `((V)rd(${expressionText(e.arguments[1] as ts.Expression, place)}))`,
  'struct.forEachAlive': same('for_each_alive'),
  'struct.objectName': () => 'TEXT',
  'struct.factsOf': () => 'TEXT',
  'struct.badPage': () => 'report("bad-page-state")',
  'census.structText': () => 'TEXT',
  'census.structCount': () => '((V)struct_count)',
  'census.aliveOf': same('alive_of'),
  'census.forEachPointerTo': same('for_each_pointer_to'),
  'census.forEachEmbedded': (e, place) =>
    closuresFirst(e, place, ([inner = '', , visit = '']) => {
      const f = `${inner.replace(/^\(*S_|\)/g, '')}_${literal(e, 1, place.world)}`
      return `for_each_embedded(${inner}, ${f}, ${visit})`
    }),
  'struct.addressOf': (e, place) => {
    const object = e.arguments[0] as ts.Expression
    const f = place.world.fieldOf(object, literal(e, 1, place.world))
    return `address_of(${expressionText(object, place)}, ${f})`
  },
  'struct.containerOf': (e, place) => {
    const [member, outer] = e.arguments as unknown as [ts.Expression, ts.Expression]
    const struct = expressionText(outer, place)
    const f = `${struct.replace(/^S_/, '')}_${literal(e, 2, place.world)}`
    return `container_of(${expressionText(member, place)}, ${struct}, ${f})`
  },
  'fault.bug': () => 'bug_on(1)',
  'fault.bugOn': firstOf(1, 'bug_on'),
  'fault.warnOn': firstOf(1, 'warn_on'),
  'fault.storeFault': () => 'store_fault()',
  'fault.loadFault': () => 'load_fault()',
  'fault.hypervisorPanic': () => 'hypervisor_panic()',
  'fault.remark': (e, { world }) => `report("${literal(e, 0, world)}")`,
  'fault.mark': () => 'UNDEFINED',
  'fault.tracepoint': (e, place) => {
    const args = argumentTexts(e, place)
    return inOrder(args, ([name, ...values]) => {
      return `judge_event(${name}, (V[${Math.max(1, values.length)}]){ ${values.join(', ') || '0'} })`
    })
  },
  'task.current': same('current'),
  'task.currentTaskNumber': () => '((V)current_number)',
  'task.taskNumber': same('task_of'),
  'task.lockClass': (e, { world }) => `${lockClass(literal(e, 0, world))}`,
  'task.lockClassName': () => 'TEXT',
  'task.notePair': nothing,
  'effects.read': effect('E_READ', -1, -1),
  'effects.write': effect('E_WRITE', -1, -1),
  'effects.rmw': effect('E_RMW', -1, -1),
  'effects.until': effect('E_UNTIL', -1, 2),
  'effects.untilNot': effect('E_UNTIL_NOT', -1, 2),
  'effects.untilElement': effect('E_UNTIL', 2, 3),
  'effects.acquire': effect('E_LOCK', -1, -1),
  'effects.acquireShared': effect('E_LOCK_SHARED', -1, -1),
  'effects.acquireExclusive': effect('E_LOCK_EXCLUSIVE', -1, -1),
  'effects.choose': (e, place) =>
    `effect(E_CHOOSE, ${expressionText(e.arguments[0] as ts.Expression, place)}, 0)`,
  'effects.inject': () => 'effect(E_INJECT, 0, 0)',
  'effects.alsoReads': nothing,
  'effects.alsoWrites': nothing,
}
