/**
 * What a model consists of, found from what its tasks call: kernel functions, the plain functions
 * and constants they use, structs, ops tables and texts. A function is written when it is met; one
 * that C cannot say is a stop with the reason, in case a step gets there.
 */
import ts from 'typescript'
import { kernelFunction } from '../lower/lower.js'
import { keepOf } from '../lower/types.js'
import { allBodies, type Body, bodyOf, type FnTag, originalAt } from '../machine/fn.js'
import { allOpsTables, type Struct, structNamed } from '../machine/struct.js'

/** The source that a model is made from. */
export interface Sources {
  readonly program: ts.Program
  /** Directory that places of functions are seen from, with forward slashes. */
  readonly root: string
}

/** A construct that has no counterpart in the model. */
export class NotExpressible extends Error {
  readonly node: ts.Node

  constructor(node: ts.Node, reason: string) {
    super(reason)
    this.node = node
  }
}

/** A function that could not be written, and why. */
export interface Gap {
  readonly name: string
  /** File and line of the construct. */
  readonly place: string
  readonly reason: string
}

/** Names that C, SPIN and the generated text have taken. */
const RESERVED: ReadonlySet<string> = new Set(
  (
    'auto char double extern float goto inline int long register restrict short signed sizeof ' +
    'struct typedef union unsigned volatile unix linux errno asm now ' +
    'pc fp incoming args announced callee'
  ).split(' '),
)

/** The C type of a value: a number or pointer, a bigint, or a function. */
export type CType = 'V' | 'B' | 'F'

export interface KernelFunction {
  readonly body: Body
  /** In C; also of its number. */
  readonly name: string
  readonly source: ts.FunctionExpression
}

type Plain = ts.FunctionDeclaration | ts.ArrowFunction | ts.MethodDeclaration

export interface PlainFunction {
  readonly name: string
  readonly source: Plain
}

export class World {
  readonly checker: ts.TypeChecker
  readonly kernel: KernelFunction[] = []
  readonly plain: PlainFunction[] = []
  readonly slots: string[] = []
  readonly #sources: Sources
  readonly #bodies = new Map<string, Body>()
  readonly #kernelByBody = new Map<number, KernelFunction>()
  readonly #plainBySource = new Map<Plain, PlainFunction>()
  readonly #texts: string[] = []
  readonly #layouts: string[] = []
  readonly #reserved: ReadonlySet<string>

  /** `reserved`: names that the hand-written part of the model uses. */
  constructor(sources: Sources, reserved: ReadonlySet<string>) {
    this.#sources = sources
    this.#reserved = reserved
    this.checker = sources.program.getTypeChecker()
    for (const b of allBodies()) if (!this.#bodies.has(b.place)) this.#bodies.set(b.place, b)
  }

  refuse(node: ts.Node, reason: string): never {
    throw new NotExpressible(node, reason)
  }

  /** The file, as seen from the root, and line of a node. */
  placeOf(node: ts.Node): string {
    const file = node.getSourceFile()
    const { line } = file.getLineAndCharacterOfPosition(node.getStart())
    return `${this.#nameOf(file)}:${line + 1}`
  }

  #nameOf(file: ts.SourceFile): string {
    const { root } = this.#sources
    return file.fileName.startsWith(`${root}/`)
      ? file.fileName.slice(root.length + 1)
      : file.fileName
  }

  /** A name for a local that nothing else in the model has. */
  localName(source: string): string {
    const taken = this.#reserved.has(source) || RESERVED.has(source)
    return taken ? `${source}_` : source
  }

  /** What is declared under a name, through imports. */
  declarationOf(name: ts.Node): ts.Declaration | undefined {
    let symbol = this.checker.getSymbolAtLocation(name)
    if (symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias) {
      symbol = this.checker.getAliasedSymbol(symbol)
    }
    return symbol?.valueDeclaration ?? symbol?.declarations?.[0]
  }

  /** The declaration's file if it is one of the machine's: `locks`, `struct` … */
  machineFile(declaration: ts.Node): string | undefined {
    return /^src\/machine\/(.*)\.ts$/.exec(this.#nameOf(declaration.getSourceFile()))?.[1]
  }

  /** The kernel function that runs when this one is called, as a function of the model. */
  activeFunction(tag: FnTag): KernelFunction {
    return this.#functionOf(bodyOf(tag))
  }

  #functionOf(body: Body): KernelFunction {
    const known = this.#kernelByBody.get(body.id)
    if (known !== undefined) return known
    const source = this.#sourceOf(body)
    const made = { body, source, name: `F${this.kernel.length + 1}_${cName(body.cName)}` }
    this.kernel.push(made)
    this.#kernelByBody.set(body.id, made)
    return made
  }

  #sourceOf(body: Body): ts.FunctionExpression {
    const [, name = '', at = ''] = /^(.*):(\d+)$/.exec(body.place) ?? []
    const { program, root } = this.#sources
    const file = program.getSourceFile(name.startsWith('/') ? name : `${root}/${name}`)
    let found: ts.FunctionExpression | undefined
    const visit = (node: ts.Node): void => {
      if (found !== undefined || node.getEnd() < Number(at)) return
      if (ts.isFunctionExpression(node) && node.getStart() === Number(at)) found = node
      else ts.forEachChild(node, visit)
    }
    if (file !== undefined) visit(file)
    if (found === undefined) throw new Error(`${body.cName} is not at ${body.place}`)
    return found
  }

  /** The kernel function behind `const x = fn(…)` or `const x = original(…)`. */
  kernelFunctionAt(declaration: ts.Declaration): KernelFunction | undefined {
    if (!ts.isVariableDeclaration(declaration)) return undefined
    const { initializer } = declaration
    if (initializer === undefined || !ts.isCallExpression(initializer)) return undefined
    const source = kernelFunction(initializer, this.checker)
    if (source !== undefined) return this.#functionOf(bodyOf(this.#declaredAt(source)))
    if (!ts.isIdentifier(initializer.expression)) return undefined
    if (initializer.expression.text !== 'original') return undefined
    const made = originalAt(
      `${this.#nameOf(initializer.getSourceFile())}:${initializer.getStart()}`,
    )
    return made && this.#functionOf(bodyOf(made))
  }

  #declaredAt(source: ts.FunctionExpression): Body {
    const place = `${this.#nameOf(source.getSourceFile())}:${source.getStart()}`
    const body = this.#bodies.get(place)
    if (body === undefined) this.refuse(source, 'the source is not the one that was built')
    return body
  }

  /** An ordinary function, as a function of the model. */
  plainFunction(source: Plain): PlainFunction {
    const known = this.#plainBySource.get(source)
    if (known !== undefined) return known
    const named = ts.isVariableDeclaration(source.parent) ? source.parent.name : source.name
    const made = { source, name: `P${this.plain.length + 1}_${cName(named?.getText() ?? '')}` }
    this.plain.push(made)
    this.#plainBySource.set(source, made)
    return made
  }

  /** The number of a slot of ops tables. */
  slot(name: string): number {
    const known = this.slots.indexOf(name)
    return known >= 0 ? known : this.slots.push(name) - 1
  }

  /** The number of a kind of record, by the names of its parts in order. */
  layout(names: readonly string[]): number {
    const key = names.join()
    const known = this.#layouts.indexOf(key)
    return known >= 0 ? known : this.#layouts.push(key) - 1
  }

  /** The number of the ops table that a constant holds; undefined if it holds none. */
  opsNumberAt(declaration: ts.Declaration): number | undefined {
    if (!ts.isVariableDeclaration(declaration)) return undefined
    const { initializer } = declaration
    if (initializer === undefined || !ts.isCallExpression(initializer)) return undefined
    const [table] = initializer.arguments
    if (initializer.expression.getText() !== 'opsTable' || table === undefined) return undefined
    if (!ts.isObjectLiteralExpression(table)) return undefined
    const found = allOpsTables().flatMap((t, i) => (this.#isWrittenAs(t, table) ? [i + 1] : []))
    if (found.length !== 1) this.refuse(declaration, 'an ops table like another one')
    return found[0]
  }

  #isWrittenAs(table: object, source: ts.ObjectLiteralExpression): boolean {
    const values = table as Readonly<Record<string, unknown>>
    return source.properties.every((p) => {
      if (p.name === undefined || !ts.isPropertyAssignment(p)) return true
      const value = values[p.name.getText()]
      if (ts.isStringLiteral(p.initializer)) return value === p.initializer.text
      const of = ts.isIdentifier(p.initializer) ? this.declarationOf(p.initializer) : undefined
      const body = of && ts.isVariableDeclaration(of) ? of.initializer : undefined
      const written = body && kernelFunction(body, this.checker)
      if (written === undefined) return true
      return (value as FnTag | undefined)?.id === this.#declaredAt(written).id
    })
  }

  /** A number that stands for a text. */
  text(text: string): string {
    let known = this.#texts.indexOf(text)
    if (known < 0) known = this.#texts.push(text) - 1
    return `${2 ** 33 + known}LL`
  }

  // Types

  typeOf(node: ts.Node): ts.Type {
    return this.checker.getTypeAtLocation(node)
  }

  cType(type: ts.Type): CType {
    const plain = this.checker.getNonNullableType(type)
    if (keepOf(plain, this.checker).kind === 'big') return 'B'
    if (this.typeName(plain) === 'Report') return 'V'
    const isTag = plain.getProperty('cName') !== undefined
    return plain.getCallSignatures().length > 0 && !isTag ? 'F' : 'V'
  }

  /** What a type is called: an interface or an alias of one. */
  typeName(type: ts.Type): string {
    const plain = this.checker.getNonNullableType(type)
    return plain.aliasSymbol?.name ?? plain.symbol?.name ?? ''
  }

  /** The struct that a pointer type names; undefined if it is none, or none in particular. */
  structOf(type: ts.Type): Struct<never> | undefined {
    const keep = keepOf(this.checker.getNonNullableType(type), this.checker)
    if (keep.kind !== 'ptr' || keep.struct === 'Obj') return undefined
    try {
      return structNamed(keep.struct) as unknown as Struct<never>
    } catch {
      return undefined
    }
  }

  /** The number in C of a field of a pointer's struct. */
  fieldOf(object: ts.Expression, field: string): string {
    const struct = this.structOf(this.typeOf(object))
    if (struct?.fields.has(field) !== true) {
      this.refuse(object, `no struct is known to have ${field} here`)
    }
    return `${struct.name}_${field}`
  }

  gapOf(name: string, error: NotExpressible): Gap {
    return { name, place: this.placeOf(error.node), reason: error.message }
  }
}

function cName(name: string): string {
  return name.replace(/\W/g, '_')
}
