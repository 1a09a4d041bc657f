/**
 * Kernel functions in C: a second text of the same control flow graph that `lower/gen.ts` makes a
 * JavaScript step function of. What lives in a frame, and which words of it are zero, is the same.
 */
import ts from 'typescript'
import type { Block, Item, Local, Terminator } from '../lower/cfg.js'
import type { Dialect, Surroundings } from '../lower/dialect.js'
import { Builder } from '../lower/graph.js'
import { HEADER, type Plan, planOf, type Suspension } from '../lower/plan.js'
import { type Keep, wordsOf } from '../lower/types.js'
import { binaryText, expressionText, type Place, storeText } from './expression.js'
import { bodyText, headText, scopeIn, statementText } from './function.js'
import { type KernelFunction, NotExpressible, type World } from './world.js'

/** Statements and expressions of a generator, in C. */
class C implements Dialect {
  readonly nothing = 'UNDEFINED'
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  nameOf(source: string): string {
    return this.#world.localName(source)
  }

  emit(node: ts.Node, around: Surroundings): Item {
    const uses = new Set<Local>()
    const place = this.#place(around, uses)
    const text = ts.isExpression(node)
      ? expressionText(node, place)
      : statementText(node as ts.Statement, place)
    return { text, uses, defs: new Set() }
  }

  #place(around: Surroundings, uses: Set<Local>): Place {
    return scopeIn(this.#world, {
      world: this.#world,
      local: (name) => {
        const local = around.localOf(name)
        if (local !== undefined) uses.add(local)
        return local?.name
      },
      replaced: (node) => {
        const item = around.replaced(node)
        for (const u of item?.uses ?? []) uses.add(u)
        return item?.text
      },
      block: bodyText,
    })
  }

  unary(operator: ts.PrefixUnaryOperator, operand: string): string {
    if (operator === ts.SyntaxKind.ExclamationToken) return `(!truth(${operand}))`
    if (operator === ts.SyntaxKind.MinusToken) return `(-${operand})`
    throw new Error(`the operator ${ts.tokenToString(operator)} before a yield`)
  }

  binary(operator: string, left: string, right: string, e: ts.BinaryExpression): string {
    return binaryText(operator, left, right, e, scopeIn(this.#world))
  }

  store(target: ts.Expression, value: Item, around: Surroundings): Item {
    const uses = new Set(value.uses)
    const text = storeText(target, value.text, this.#place(around, uses))
    return { text, uses, defs: new Set() }
  }

  isEqual(left: string, right: string): string {
    return `(${left} == ${right})`
  }

  isThere(local: string): string {
    return `(${local} != 0 && ${local} != UNDEFINED)`
  }
}

/** What stands for one kernel function in the model. */
export interface FunctionText {
  readonly heads: readonly string[]
  readonly body: string
  /** Words of its frame; 0 if it has none. */
  readonly words: number
  /** Of its result, as `as_result` in machine.c has them. */
  readonly result: number
}

/** A kernel function. @throws NotExpressible */
export function kernelText(f: KernelFunction, world: World): FunctionText {
  const result = resultKind(f.source, world)
  return f.source.asteriskToken === undefined
    ? { ...straightText(f, world), result }
    : { ...steppedText(f, world), result }
}

function resultKind(f: ts.FunctionExpression, world: World): number {
  const signature = world.checker.getSignatureFromDeclaration(f) as ts.Signature
  let type = world.checker.getReturnTypeOfSignature(signature)
  if (f.asteriskToken !== undefined) {
    type = world.checker.getTypeArguments(type as ts.TypeReference)[1] ?? type
    const alias = signature.declaration?.type
    const argument = alias && ts.isTypeReferenceNode(alias) ? alias.typeArguments?.[0] : undefined
    if (argument !== undefined) type = world.checker.getTypeFromTypeNode(argument)
  }
  if (type.flags & ts.TypeFlags.BooleanLike) return 1
  if (type.flags & ts.TypeFlags.BigIntLike) return 2
  const isNumber = type.flags & ts.TypeFlags.NumberLike || type.isIntersection() || type.isUnion()
  return isNumber && world.structOf(type) === undefined ? 0 : 3
}

/** One that runs to completion: itself, and a way to call it through a table. */
function straightText(f: KernelFunction, world: World): Omit<FunctionText, 'result'> {
  const { text: head, inside } = headText(`${f.name}_run`, f.source, scopeIn(world))
  const list = f.source.parameters.map((_, i) => `args[${i}]`).join(', ')
  const plain = `static B ${f.name}_plain(const B *args)`
  const body = [
    `${head} ${bodyText(f.source.body, inside)}`,
    `${plain} { return ${f.name}_run(${list}); }`,
  ].join('\n')
  return { heads: [head, plain], body, words: 0 }
}

function steppedText(f: KernelFunction, world: World): Omit<FunctionText, 'result'> {
  const builder = new Builder(world.checker, f.source.getSourceFile(), new C(world))
  const params = builder.build(f.source)
  for (const { reason } of builder.problems) throw new NotExpressible(f.source, reason)
  const plan = planOf(builder.blocks, params)
  const enter = `static void ${f.name}_enter(V fp, const B *args)`
  const step = `static int ${f.name}_step(V fp, V pc, B incoming)`
  const body = [
    `${enter} {`,
    ...params.flatMap((p, i) =>
      plan.entryLive.has(p) ? [save(p.keep, slotOf(plan, p), argument(p, i))] : [],
    ),
    '}',
    `${step} {`,
    ...builder.locals.map((l) => `${l.keep.kind === 'big' ? 'B' : 'V'} ${l.name} = UNDEFINED;`),
    'for (;;) switch (pc) {',
    ...plan.blocks.map((b) => blockText(b, plan, params)),
    'default: give_up("no such place in this function");',
    '} }',
  ].join('\n')
  return { heads: [enter, step], body, words: plan.words }
}

function argument(p: Local, i: number): string {
  return p.keep.kind === 'big' ? `args[${i}]` : `(V)args[${i}]`
}

function slotOf(plan: Plan, local: Local): number {
  return plan.slots.get(local) as number
}

function save(keep: Keep, at: number, value: string): string {
  switch (keep.kind) {
    case 'num':
      return `save_num(fp + ${at}, ${value});`
    case 'flag':
      return `poke(fp + ${at}, truth(${value}));`
    case 'wide':
      return `save_wide(fp + ${at}, ${value});`
    case 'big':
      return `save_big(fp + ${at}, ${value});`
    case 'ptr':
      return `save_ptr(fp + ${at}, ${value});`
    case 'ops':
      return `poke(fp + ${at}, ${value});`
    default:
      return ''
  }
}

function load(keep: Keep, at: number): string {
  switch (keep.kind) {
    case 'flag':
      return `rd(fp + ${at}) != 0`
    case 'wide':
      return `load_wide(fp + ${at})`
    case 'big':
      return `load_big(fp + ${at})`
    case 'ptr':
      return keep.struct === 'Obj'
        ? `handle_at(rd(fp + ${at}))`
        : `ref(S_${keep.struct}, rd(fp + ${at}))`
    default:
      return `rd(fp + ${at})`
  }
}

function blockText(block: Block, plan: Plan, params: readonly Local[]): string {
  const lines = [`case ${block.id}:;`]
  if (block === plan.blocks[0]) {
    for (const p of params) {
      if (plan.entryLive.has(p)) lines.push(`${p.name} = ${load(p.keep, slotOf(plan, p))};`)
    }
  }
  const resumed = plan.suspensions.find((s) => s.end.next === block)
  if (resumed !== undefined) {
    for (const l of resumed.kept) lines.push(`${l.name} = ${load(l.keep, slotOf(plan, l))};`)
    const { into } = resumed.end
    if (into !== undefined) lines.push(`${into.name} = incoming;`)
  }
  for (const { text } of block.items) lines.push(text.endsWith(';') ? text : `${text};`)
  lines.push(endText(block, block.end as Terminator, plan))
  return lines.join('\n')
}

function endText(block: Block, end: Terminator, plan: Plan): string {
  switch (end.kind) {
    case 'jump':
      return `pc = ${end.to.id}; continue;`
    case 'branch':
      return `pc = truth(${end.cond.text}) ? ${end.yes.id} : ${end.no.id}; continue;`
    case 'return':
      return `return ret(${end.value.text || 'UNDEFINED'});`
    case 'throw':
      return `${end.value.text};`
    default:
      return suspendText(end, plan.suspensions.find((s) => s.block === block) as Suspension, plan)
  }
}

/** Evaluate what is announced or called, keep what lives on, make the rest of the frame zero. */
function suspendText(end: Suspension['end'], { kept }: Suspension, plan: Plan): string {
  const lines: string[] = []
  if (end.kind === 'yield') lines.push(`{ V announced = ${end.plain ? '0' : end.effect.text};`)
  else {
    const count = Math.max(1, end.args.length)
    lines.push(`{ V callee = ${end.callee.text}; B args[${count}];`)
    lines.push(...end.args.map((a, i) => `args[${i}] = ${a.text};`))
  }
  const used = new Set<number>()
  for (const l of kept) {
    const at = slotOf(plan, l)
    lines.push(save(l.keep, at, l.name))
    for (let i = 0; i < wordsOf(l.keep); i++) used.add(at + i)
  }
  for (let at = HEADER; at < plan.words; at++) {
    if (!used.has(at)) lines.push(`poke(fp + ${at}, 0);`)
  }
  const to = end.next.id
  lines.push(
    end.kind === 'yield'
      ? `return suspend(fp, ${to}, announced); }`
      : `return call(fp, ${plan.words}, ${to}, callee, args); }`,
  )
  return lines.join('\n')
}
