/**
 * Lowering: gives each `fn(function* …)` of a source file its step function and its plain function,
 * as arguments next to the generator. The text stays TypeScript; both stand in the same scope and
 * see the same imports.
 */
import ts from 'typescript'
import type { Problem } from './flow.js'
import { forgottenYields } from './forgotten.js'
import { generate } from './gen.js'
import { Builder } from './graph.js'
import { straight } from './straight.js'
import { keepOf } from './types.js'

/** Something that the subset of TypeScript for kernel code does not have. */
export interface LoweringProblem {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly column: number
  readonly reason: string
}

export interface LoweredFile {
  readonly text: string
  /** Functions that were lowered. */
  readonly functions: number
  readonly problems: readonly LoweringProblem[]
}

const RUNTIME = '__rt'

/**
 * Lower a file. `runtime` is the module specifier of `machine/lowered.js` as seen from it, `name`
 * what the file is called in the places of its functions. A file without kernel functions comes
 * back as it is.
 */
export function lowerFile(
  file: ts.SourceFile,
  checker: ts.TypeChecker,
  runtime: string,
  name: string,
): LoweredFile {
  const insertions: { at: number; text: string }[] = []
  const problems: Problem[] = []
  let functions = 0
  const visit = (node: ts.Node): void => {
    const body = kernelFunction(node, checker)
    const named = [`${name}:${body?.getStart(file)}`, body?.name?.text ?? '']
    const place = named.map((text) => JSON.stringify(text)).join(', ')
    if (body !== undefined && body.name === undefined) {
      const reason = 'a kernel function has a name: its C spelling, which reports print'
      problems.push({ pos: body.getStart(file), reason })
    } else if (body !== undefined && body.asteriskToken === undefined) {
      insertions.push({ at: body.getEnd(), text: `, undefined, undefined, ${place}` })
    } else if (body !== undefined) {
      functions++
      const builder = new Builder(checker, file)
      const params = builder.build(body)
      const generated = generate(builder.blocks, params, builder.locals, RUNTIME)
      problems.push(...forgottenYields(body, checker))
      problems.push(...builder.problems, ...generated.problems)
      const plain = straight(body, file, RUNTIME)
      insertions.push({ at: body.getEnd(), text: `, ${generated.text}, ${plain}, ${place}` })
    }
    const told = toldItsPlace(node, checker)
    if (told !== undefined) {
      const place = JSON.stringify(`${name}:${node.getStart(file)}`)
      insertions.push({ at: told.getEnd(), text: `, ${place}` })
    }
    const misnamed = misnamedStruct(node, checker)
    if (misnamed !== undefined) problems.push({ pos: node.getStart(file), reason: misnamed })
    ts.forEachChild(node, visit)
  }
  visit(file)
  return {
    text: insertions.length === 0 ? file.text : withInsertions(file.text, insertions, runtime),
    functions,
    problems: problems.map((p) => located(file, p)),
  }
}

/** The function in `fn(function* name(…) {…})` or `fn(function name(…) {…})`. */
export function kernelFunction(
  node: ts.Node,
  checker: ts.TypeChecker,
): ts.FunctionExpression | undefined {
  if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression)) return undefined
  const [body] = node.arguments
  if (node.arguments.length !== 1 || body === undefined) return undefined
  if (!ts.isFunctionExpression(body)) return undefined
  return isFn(node.expression, checker) ? body : undefined
}

function isFn(name: ts.Identifier, checker: ts.TypeChecker): boolean {
  return machineExport(name, checker) === 'fn'
}

/** The argument of `original(f)` or `opsTable({…})`, which are told where they stand. */
function toldItsPlace(node: ts.Node, checker: ts.TypeChecker): ts.Expression | undefined {
  if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression)) return undefined
  if (node.arguments.length !== 1) return undefined
  const isTold = /^(original|opsTable)$/.test(machineExport(node.expression, checker) ?? '')
  return isTold ? node.arguments[0] : undefined
}

/**
 * Variables of a module that can change: what is kept in one is in no state, so a search would take
 * two states for one.
 */
export function variablesOf(file: ts.SourceFile): LoweringProblem[] {
  return file.statements.flatMap((s) => {
    if (!ts.isVariableStatement(s) || s.declarationList.flags & ts.NodeFlags.Const) return []
    const reason = 'a design keeps its state in the arena, not in a variable: use a struct'
    return [located(file, { pos: s.getStart(file), reason })]
  })
}

/** What JavaScript has and a kernel's code may not use: clocks, randomness, what runs elsewhere. */
const AMBIENT = new Set([
  ...['Date', 'Intl', 'globalThis', 'eval', 'Function', 'Promise', 'Atomics', 'SharedArrayBuffer'],
  ...['FinalizationRegistry', 'WeakRef', 'WeakMap', 'WeakSet'],
])

/**
 * What a step does may depend on nothing but the words of the arena: two steps from one state that
 * do not do the same make a search meaningless.
 */
export function ambientOf(file: ts.SourceFile, checker: ts.TypeChecker): LoweringProblem[] {
  const problems: LoweringProblem[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node)) return
    const name = ambientName(node)
    if (name !== undefined && isOfLibrary(node, checker)) {
      const reason = `${name} is not the same in every execution: a step may depend on the state alone`
      problems.push(located(file, { pos: node.getStart(file), reason }))
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return problems
}

function ambientName(node: ts.Node): string | undefined {
  if (ts.isIdentifier(node)) return AMBIENT.has(node.text) ? node.text : undefined
  if (!ts.isPropertyAccessExpression(node) || node.name.text !== 'random') return undefined
  return node.expression.getText() === 'Math' ? node.getText() : undefined
}

/** Is it declared by the library of the language, and not by the file itself? */
function isOfLibrary(node: ts.Node, checker: ts.TypeChecker): boolean {
  const declared = checker.getSymbolAtLocation(node)?.declarations
  // The global object has no declaration.
  return declared?.every((d) => /\/lib\.[\w.]+\.d\.ts$/.test(d.getSourceFile().fileName)) ?? true
}

/** What the machine calls what this name stands for; undefined for anything else. */
function machineExport(name: ts.Identifier, checker: ts.TypeChecker): string | undefined {
  let symbol = checker.getSymbolAtLocation(name)
  if (symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias) {
    symbol = checker.getAliasedSymbol(symbol)
  }
  const file = symbol?.declarations?.[0]?.getSourceFile().fileName ?? ''
  return /\/machine\/[^/]+\.(d\.)?ts$/.test(file) ? symbol?.name : undefined
}

/**
 * A field says twice to what it points: by its type, and by the name under which the machine looks
 * for the struct. What is wrong with `ptr('Inodee')`, or undefined.
 */
function misnamedStruct(node: ts.Node, checker: ts.TypeChecker): string | undefined {
  if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression)) return undefined
  const kind = machineExport(node.expression, checker)
  const [name] = node.arguments
  if (!/^(ptr|ptrs|embed)$/.test(kind ?? '') || name === undefined) return undefined
  if (!ts.isStringLiteral(name)) return `${kind}() takes the name of a struct as it is written`
  const type = pointedTo(checker.getTypeAtLocation(node), checker)
  if (type === undefined) return `the type of the field must say to which struct it points`
  return type === name.text ? undefined : `the field is a ${type}, not a ${name.text}`
}

/** The struct in `Field<T>`, `Field<T | null>` and `Field<PtrVec<T>>`. */
function pointedTo(field: ts.Type, checker: ts.TypeChecker): string | undefined {
  const [of] = checker.getTypeArguments(field as ts.TypeReference)
  if (of === undefined) return undefined
  const inner = checker.getTypeArguments(of as ts.TypeReference)[0]
  const keep = keepOf(of.symbol?.name === 'PtrVec' && inner !== undefined ? inner : of, checker)
  return keep.kind === 'ptr' && keep.struct !== 'Obj' ? keep.struct : undefined
}

function withInsertions(
  source: string,
  insertions: readonly { at: number; text: string }[],
  runtime: string,
): string {
  const sorted = [...insertions].sort((a, b) => a.at - b.at)
  const pieces: string[] = []
  let at = 0
  for (const i of sorted) {
    pieces.push(source.slice(at, i.at), i.text)
    at = i.at
  }
  pieces.push(source.slice(at), `\nimport * as ${RUNTIME} from '${runtime}'\n`)
  return pieces.join('')
}

function located(file: ts.SourceFile, problem: Problem): LoweringProblem {
  const { line, character } = file.getLineAndCharacterOfPosition(problem.pos)
  return { file: file.fileName, line: line + 1, column: character + 1, reason: problem.reason }
}

export const EMIT: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
}

/** JavaScript of a lowered file. */
export function emit(text: string, fileName: string): string {
  return ts.transpileModule(text, { compilerOptions: EMIT, fileName }).outputText
}
