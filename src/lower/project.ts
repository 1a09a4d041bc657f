/**
 * The two uses of the lowering: a whole project at build time, and one design file at run time.
 * Both type-check first. Files come from a host, so that this module needs no file system.
 */
import ts from 'typescript'
import { ambientOf, emit, lowerFile, variablesOf } from './lower.js'

/** A mistake in a source file, by the compiler or by the lowering. */
export interface SourceProblem {
  readonly file: string
  /** From 1; 0 if the problem has no place. */
  readonly line: number
  readonly column: number
  readonly message: string
}

export interface EmittedFile {
  /** Path of the source. */
  readonly source: string
  readonly text: string
}

/** Paths with forward slashes, as TypeScript has them. */
export interface ProjectLayout {
  /** Directory that holds `src/`. */
  readonly root: string
}

function problemsOf(diagnostics: readonly ts.Diagnostic[]): SourceProblem[] {
  return diagnostics.map((d) => {
    const message = ts.flattenDiagnosticMessageText(d.messageText, '\n')
    if (d.file === undefined) return { file: '', line: 0, column: 0, message }
    const { line, character } = d.file.getLineAndCharacterOfPosition(d.start ?? 0)
    return { file: d.file.fileName, line: line + 1, column: character + 1, message }
  })
}

/** Module specifier of the run-time part of lowered code, seen from a file below the root. */
function runtimeFrom(fileName: string, root: string): string {
  const depth = fileName.slice(root.length + 1).split('/').length - 1
  return `${depth === 0 ? './' : '../'.repeat(depth)}src/machine/lowered.js`
}

/** What a build of a project yields. */
export interface EmittedProject {
  /** The files whose JavaScript is not what the last build made of them. */
  readonly files: readonly EmittedFile[]
  /** Paths of all sources, in a fixed order. */
  readonly sources: readonly string[]
  readonly problems: readonly SourceProblem[]
}

/**
 * Check and lower the source files of a program, of those known from an earlier build only the ones
 * that have changed or see another type than before: the lowering knows nothing of other files but
 * their types. Declarations go to `write`. What is emitted is of use only if there are no problems.
 */
export function emitProject(
  builder: ts.EmitAndSemanticDiagnosticsBuilderProgram,
  layout: ProjectLayout,
  write: ts.WriteFileCallback,
): EmittedProject {
  const program = builder.getProgram()
  const own = program.getSourceFiles().filter((f) => isOwn(f, layout))
  const diagnostics = [
    ...builder.getConfigFileParsingDiagnostics(),
    ...builder.getOptionsDiagnostics(),
    ...builder.getSyntacticDiagnostics(),
    ...builder.getGlobalDiagnostics(),
  ]
  const affected = new Set<ts.SourceFile>()
  for (;;) {
    const next = builder.getSemanticDiagnosticsOfNextAffectedFile()
    if (next === undefined) break
    diagnostics.push(...next.result)
    for (const f of 'fileName' in next.affected ? [next.affected] : own) affected.add(f)
  }
  diagnostics.push(...builder.emit(undefined, write).diagnostics)
  const problems = problemsOf(diagnostics)
  const files: EmittedFile[] = []
  const checker = program.getTypeChecker()
  for (const file of own.filter((f) => affected.has(f))) {
    const runtime = runtimeFrom(file.fileName, layout.root)
    const lowered = lowerFile(file, checker, runtime, file.fileName.slice(layout.root.length + 1))
    problems.push(...lowered.problems.map(({ reason, ...at }) => ({ ...at, message: reason })))
    files.push({ source: file.fileName, text: emit(lowered.text, file.fileName) })
  }
  return { files, sources: own.map((f) => f.fileName).sort(), problems }
}

/** Is this a source of the project itself? */
function isOwn(file: ts.SourceFile, { root }: ProjectLayout): boolean {
  if (file.isDeclarationFile || file.fileName.includes('/node_modules/')) return false
  return file.fileName.startsWith(`${root}/`)
}

/** Name under which a design file imports the project. */
export const PACKAGE = 'restrictedmem'

/** At the head of a design that was made, and names what the build exports and the sources do not. */
export const SEES_THE_BUILD = '/* restrictedmem: lowered against the build */\n'

/** A design file, checked and lowered. */
export interface LoweredDesign {
  /** JavaScript that can be imported from anywhere. */
  readonly text: string
  /**
   * The same text before it was tied to this machine: the same wherever file and project lie, so
   * that tokens and stored verdicts can be bound to it.
   */
  readonly identity: string
  readonly problems: readonly SourceProblem[]
}

/** Stands in a design's text for the folder that it lies in. */
const FOLDER = '@design/'

/**
 * Check and lower one design file. `moduleUrl` turns a path below `src/` (without extension) into
 * the specifier of the built module, so that the text can be imported from anywhere.
 */
export function lowerDesign(
  fileName: string,
  layout: ProjectLayout,
  host: ts.CompilerHost,
  options: ts.CompilerOptions,
  moduleUrl: (path: string) => string,
): LoweredDesign {
  const program = ts.createProgram(
    [fileName],
    {
      ...options,
      // The file may lie anywhere, with no package.json to say that it is a module.
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      noEmit: true,
      types: [],
      allowImportingTsExtensions: false,
      paths: { [`${PACKAGE}/*`]: [`${layout.root}/src/*`] },
    },
    host,
  )
  const file = program.getSourceFile(fileName)
  if (file === undefined) {
    const message = 'the file cannot be read'
    const problem = { file: fileName, line: 0, column: 0, message }
    return { text: '', identity: '', problems: [problem] }
  }
  const problems = problemsOf([
    ...program.getSyntacticDiagnostics(file),
    ...program.getSemanticDiagnostics(file),
  ])
  const folder = fileName.slice(0, fileName.lastIndexOf('/') + 1)
  const runtime = `${PACKAGE}/machine/lowered.js`
  const name = FOLDER + fileName.slice(folder.length)
  const checker = program.getTypeChecker()
  const lowered = lowerFile(file, checker, runtime, name)
  const wrong = [...lowered.problems, ...variablesOf(file), ...ambientOf(file, checker)]
  problems.push(...wrong.map(({ reason, ...at }) => ({ ...at, message: reason })))
  problems.push(...foreignImports(file, layout))
  if (problems.length > 0) return { text: '', identity: '', problems }
  const unlinked = emit(lowered.text, fileName)
  const link = (url: (path: string) => string): string =>
    withModuleUrls(unlinked, layout, fileName, url)
  const places = JSON.stringify(folder).slice(1, -1)
  return {
    text: link(moduleUrl).replaceAll(`"${FOLDER}`, () => `"${places}`),
    identity: link((path) => `${PACKAGE}/${path}.js`),
    problems,
  }
}

/** What a design is stands in one file: from elsewhere it takes nothing but the project's modules. */
function foreignImports(file: ts.SourceFile, layout: ProjectLayout): SourceProblem[] {
  const problems: SourceProblem[] = []
  const directory = file.fileName.slice(0, file.fileName.lastIndexOf('/'))
  const refuse = (node: ts.Node): void => {
    const { line, character } = file.getLineAndCharacterOfPosition(node.getStart(file))
    const message = `a design can import nothing but ${PACKAGE}/…`
    problems.push({ file: file.fileName, line: line + 1, column: character + 1, message })
  }
  const visit = (node: ts.Node): void => {
    const isModule = ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
    const name = isModule ? node.moduleSpecifier : undefined
    if (name !== undefined && ts.isStringLiteral(name)) {
      if (projectPath(name.text, layout, directory) === undefined) refuse(name)
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      refuse(node)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return problems
}

/** Point the imports of the emitted text at the built modules. */
function withModuleUrls(
  text: string,
  layout: ProjectLayout,
  fileName: string,
  moduleUrl: (path: string) => string,
): string {
  const directory = fileName.slice(0, fileName.lastIndexOf('/'))
  return text.replace(/(\bfrom\s*|\bimport\s*)(['"])([^'"]+)\2/g, (whole, head, quote, name) => {
    const path = projectPath(String(name), layout, directory)
    return path === undefined ? whole : `${head}${quote}${moduleUrl(path)}${quote}`
  })
}

/** Path below `src/`, without extension, that an import names; undefined for others. */
function projectPath(name: string, layout: ProjectLayout, directory: string): string | undefined {
  if (name.startsWith(`${PACKAGE}/`)) return name.slice(PACKAGE.length + 1).replace(/\.js$/, '')
  if (!name.startsWith('.')) return undefined
  const parts = directory.split('/')
  for (const part of name.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.') parts.push(part)
  }
  const absolute = parts.join('/')
  const source = `${layout.root}/src/`
  return absolute.startsWith(source)
    ? absolute.slice(source.length).replace(/\.js$/, '')
    : undefined
}
