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
    const place = JSON.stringify(`${name}:${body?.getStart(file)}`)
    if (body !== undefined && body.asteriskToken === undefined) {
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
  let symbol = checker.getSymbolAtLocation(name)
  if (symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias) {
    symbol = checker.getAliasedSymbol(symbol)
  }
  const declaration = symbol?.declarations?.[0]
  if (declaration === undefined || symbol?.name !== 'fn') return false
  return /\/machine\/fn\.(d\.)?ts$/.test(declaration.getSourceFile().fileName)
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
