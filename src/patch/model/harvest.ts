/** The dictionary, read from the project's own TypeScript when it is built. */
import ts from 'typescript'
import type {
  Dictionary,
  ModelFunction,
  ModelOps,
  ModelStruct,
  ModelValue,
  Param,
} from './dictionary.js'
import { snakeCase } from './dictionary.js'

const ROOMS = /^src\/(kernel|user|hosts|designs|machine)\//

/** Everything that the kernel, the designs and the machine declare at the top of a file. */
export function harvest(program: ts.Program, root: string): Dictionary {
  const reader = new Reader(program.getTypeChecker())
  for (const file of program.getSourceFiles()) {
    const path = file.fileName.slice(root.length + 1)
    if (!file.isDeclarationFile && file.fileName.startsWith(`${root}/`) && ROOMS.test(path)) {
      reader.read(file, path)
    }
  }
  return reader.dictionary()
}

class Reader {
  readonly #checker: ts.TypeChecker
  readonly #functions: ModelFunction[] = []
  readonly #structs: ModelStruct[] = []
  readonly #ops: ModelOps[] = []
  readonly #values: ModelValue[] = []
  readonly #types: Record<string, string> = {}
  readonly #announced = new Set<string>()
  readonly #imports: Record<string, string[]> = {}
  readonly #designs: Record<string, { file: string; name: string }> = {}

  constructor(checker: ts.TypeChecker) {
    this.#checker = checker
  }

  dictionary(): Dictionary {
    return {
      functions: this.#functions,
      structs: this.#structs,
      ops: this.#ops,
      values: this.#values,
      types: this.#types,
      announced: [...this.#announced].sort(),
      imports: this.#imports,
      designs: this.#designs,
    }
  }

  read(source: ts.SourceFile, path: string): void {
    const file = path.slice('src/'.length).replace(/\.ts$/, '')
    for (const s of source.statements) {
      // Of the kernel the build exports everything.
      if (file.startsWith('machine/') && !isExported(s)) continue
      if (ts.isImportDeclaration(s)) this.#import(s, file)
      else if (ts.isInterfaceDeclaration(s)) this.#interface(s, source, file)
      else if (ts.isTypeAliasDeclaration(s)) this.#types[s.name.text] = file
      else if (ts.isClassDeclaration(s) && s.name !== undefined) {
        this.#values.push({ ts: s.name.text, file, type: s.name.text })
      } else if (ts.isFunctionDeclaration(s)) this.#helper(s, source, file)
      else if (ts.isVariableStatement(s)) this.#variables(s, source, path, file)
    }
    const visit = (node: ts.Node): void => {
      this.#announcement(node)
      ts.forEachChild(node, visit)
    }
    if (!file.startsWith('machine/')) visit(source)
  }

  #import(s: ts.ImportDeclaration, file: string): void {
    if (!file.startsWith('designs/') || !ts.isStringLiteral(s.moduleSpecifier)) return
    const parts = file.split('/').slice(0, -1)
    for (const part of s.moduleSpecifier.text.split('/')) {
      if (part === '..') parts.pop()
      else if (part !== '.') parts.push(part)
    }
    this.#imports[file] ??= []
    this.#imports[file].push(parts.join('/').replace(/\.js$/, ''))
  }

  /** An interface is a struct if it is an `Obj`, a table of operations if it has slots. */
  #interface(s: ts.InterfaceDeclaration, source: ts.SourceFile, file: string): void {
    const isStruct = s.heritageClauses?.some((h) => h.types.some((t) => t.getText() === 'Obj'))
    const name = s.name.text
    if (isStruct === true) {
      const fields: Record<string, string> = {}
      for (const m of s.members) {
        if (ts.isPropertySignature(m) && m.type) fields[m.name.getText()] = m.type.getText(source)
      }
      this.#structs.push({ ts: name, c: snakeCase(name), file, fields })
      return
    }
    const slots: Record<string, { params: Param[]; returns: string }> = {}
    for (const m of s.members) {
      if (!ts.isPropertySignature(m) || m.type === undefined) continue
      const slot = slotOf(m.type, source)
      if (slot !== undefined) slots[m.name.getText()] = slot
    }
    if (Object.keys(slots).length > 0) this.#ops.push({ ts: name, file, slots })
    else this.#types[name] = file
  }

  #helper(s: ts.FunctionDeclaration, source: ts.SourceFile, file: string): void {
    if (s.name === undefined) return
    this.#functions.push({
      c: snakeCase(s.name.text),
      ts: s.name.text,
      file,
      place: '',
      kind: 'helper',
      params: paramsOf(s, source),
      returns: s.type?.getText(source) ?? 'void',
      ...clauses(s, source),
      source: s.getText(source),
    })
  }

  #variables(s: ts.VariableStatement, source: ts.SourceFile, path: string, file: string): void {
    for (const d of s.declarationList.declarations) {
      if (!ts.isIdentifier(d.name)) continue
      const init = d.initializer
      if (init !== undefined && ts.isCallExpression(init)) {
        const callee = init.expression.getText(source)
        const [first] = init.arguments
        if (callee === 'fn' && first !== undefined && ts.isFunctionExpression(first)) {
          this.#kernelFunction(d.name.text, first, s, source, path, file)
          continue
        }
        if (callee === 'defineDesign' && first !== undefined) {
          const id = /\bid: '([^']+)'/.exec(first.getText(source))?.[1]
          if (id !== undefined) this.#designs[id] = { file, name: d.name.text }
        }
      }
      const type =
        d.type?.getText(source) ??
        this.#checker.typeToString(
          this.#checker.getBaseTypeOfLiteralType(this.#checker.getTypeAtLocation(d.name)),
        )
      const c = /^opsTable\(\{\s*name: '(\w+)'/.exec(init?.getText(source) ?? '')?.[1]
      const table = c === undefined || init === undefined ? {} : { c, slots: slotsIn(init, source) }
      this.#values.push({ ts: d.name.text, file, type, ...table })
    }
  }

  #kernelFunction(
    name: string,
    f: ts.FunctionExpression,
    s: ts.VariableStatement,
    source: ts.SourceFile,
    path: string,
    file: string,
  ): void {
    const returns = f.type?.getText(source) ?? 'void'
    this.#functions.push({
      c: f.name?.text ?? snakeCase(name),
      ts: name,
      file,
      place: `${path}:${f.getStart(source)}`,
      kind: f.asteriskToken === undefined ? 'plain' : 'generator',
      params: paramsOf(f, source),
      returns: /^Kernel<([\s\S]+)>$/.exec(returns)?.[1] ?? returns,
      ...clauses(s, source),
      source: f.getText(source),
      locals: this.#locals(f),
    })
  }

  #locals(f: ts.FunctionExpression): Record<string, string> {
    const found: Record<string, string> = {}
    const visit = (node: ts.Node): void => {
      if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name)) {
        const type = this.#checker.getTypeAtLocation(node.name)
        found[node.name.text] = this.#checker.typeToString(
          this.#checker.getBaseTypeOfLiteralType(type),
        )
      }
      ts.forEachChild(node, visit)
    }
    visit(f.body)
    return found
  }

  /** `yield read(x, 'field')`: the field of the struct that x is. */
  #announcement(node: ts.Node): void {
    if (!ts.isYieldExpression(node) || node.expression === undefined) return
    const call = node.expression
    if (!ts.isCallExpression(call) || !/^(read|write|rmw)$/.test(call.expression.getText())) return
    const [object, field] = call.arguments
    if (object === undefined || field === undefined || !ts.isStringLiteral(field)) return
    const type = this.#checker.getNonNullableType(this.#checker.getTypeAtLocation(object))
    const name = type.symbol?.name
    if (name !== undefined) this.#announced.add(`${name}.${field.text}`)
  }
}

/** What `opsTable({ name, slot: f, … })` has in its slots. */
function slotsIn(init: ts.Expression, source: ts.SourceFile): Record<string, string> {
  const [table] = ts.isCallExpression(init) ? init.arguments : []
  const found: Record<string, string> = {}
  if (table === undefined || !ts.isObjectLiteralExpression(table)) return found
  for (const p of table.properties) {
    if (ts.isShorthandPropertyAssignment(p)) found[p.name.text] = p.name.text
    else if (ts.isPropertyAssignment(p) && p.name.getText(source) !== 'name') {
      found[p.name.getText(source)] = p.initializer.getText(source)
    }
  }
  return found
}

function isExported(s: ts.Statement): boolean {
  return (
    ts.canHaveModifiers(s) &&
    ts.getModifiers(s)?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword) === true
  )
}

function paramsOf(f: ts.SignatureDeclaration, source: ts.SourceFile): Param[] {
  return f.parameters.map((p) => ({
    name: p.name.getText(source),
    type: p.type?.getText(source) ?? 'unknown',
  }))
}

/** `Op<[a: A], R>` */
function slotOf(
  type: ts.TypeNode,
  source: ts.SourceFile,
): { params: Param[]; returns: string } | undefined {
  if (!ts.isTypeReferenceNode(type) || type.typeName.getText(source) !== 'Op') return undefined
  const [tuple, returns] = type.typeArguments ?? []
  if (tuple === undefined || returns === undefined || !ts.isTupleTypeNode(tuple)) return undefined
  const params = tuple.elements.filter(ts.isNamedTupleMember).map((m) => ({
    name: m.name.text,
    type: m.type.getText(source),
  }))
  return { params, returns: returns.getText(source) }
}

/** What a declaration's comment says that it models, and how it simplifies. */
function clauses(
  s: ts.Node,
  source: ts.SourceFile,
): { models: string | undefined; simplifies: string | undefined } {
  const comment = ts
    .getJSDocCommentsAndTags(s)
    .map((d) => d.getText(source).replace(/^\s*(\/\*\*|\*\/|\* ?)/gm, ''))
    .join('\n')
  return { models: clause(comment, 'Models'), simplifies: clause(comment, 'Simplifies') }
}

function clause(comment: string, keyword: string): string | undefined {
  const at = comment.indexOf(`${keyword}:`)
  if (at < 0) return undefined
  const rest = comment.slice(at + keyword.length + 1)
  const end = /\n\s*\n|(?:Models|Simplifies|Compared):|\*\/|$/.exec(rest)?.index ?? rest.length
  return rest.slice(0, end).replace(/\s+/g, ' ').trim()
}
