/** The lowering on a file system: where the project lies, and how a design file is read. */
import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'
import { type LoweredDesign, lowerDesign, PACKAGE, SEES_THE_BUILD } from './project.js'

/** The package's root: this file is built to `dist/src/lower/host.js`. */
function packageRoot(): string {
  return resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
}

/** Options of the project's own tsconfig.json. */
function compilerOptions(root: string): ts.CompilerOptions {
  const path = join(root, 'tsconfig.json')
  const { config } = ts.readConfigFile(path, ts.sys.readFile)
  return ts.parseJsonConfigFileContent(config, ts.sys, root).options
}

/**
 * The sources behind these files, for a second look at what was built: of the project, as seen from
 * its root, or a design of the user's by its full path.
 */
export function projectSources(files: readonly string[]): { program: ts.Program; root: string } {
  const root = packageRoot()
  const names = files.map((f) => resolve(root, f))
  const paths = { [`${PACKAGE}/*`]: [`${root}/src/*`] }
  return { program: ts.createProgram(names, { ...compilerOptions(root), paths }), root }
}

/**
 * Check and lower the design file at a path: JavaScript that can be imported as a data: URL, or
 * what is wrong with the file.
 */
export function lowerDesignFile(path: string): LoweredDesign {
  const root = packageRoot()
  const fileName = resolve(path)
  let written: string
  try {
    written = readFileSync(fileName, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const message = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`
    return { text: '', identity: '', problems: [{ file: path, line: 0, column: 0, message }] }
  }
  if (written.startsWith(SEES_THE_BUILD)) return lowerModule(written)
  const options = compilerOptions(root)
  const moduleUrl = (module: string): string =>
    pathToFileURL(join(root, 'dist/src', `${module}.js`)).href
  return lowerDesign(fileName, { root }, ts.createCompilerHost(options), options, moduleUrl)
}

const parsed = new Map<string, ts.SourceFile>()

/**
 * Check and lower a module of kernel code that names every function of the project, exported or
 * not: it sees the project as it was built, which spares reading its sources.
 */
export function lowerModule(text: string): LoweredDesign {
  const root = packageRoot()
  const built = join(root, 'dist')
  const fileName = `${built}/module.ts`
  const options = compilerOptions(root)
  const host = ts.createCompilerHost(options)
  const { readFile, fileExists, getSourceFile } = host
  // What the build has made does not change while it is read: one parse for all modules.
  host.getSourceFile = (name, ...rest) => {
    const known = name === fileName ? undefined : parsed.get(name)
    const file = known ?? getSourceFile.call(host, name, ...rest)
    if (name !== fileName && file !== undefined) parsed.set(name, file)
    return file
  }
  host.readFile = (name) => (name === fileName ? text : readFile.call(host, name))
  host.fileExists = (name) => name === fileName || fileExists.call(host, name)
  const moduleUrl = (module: string): string =>
    pathToFileURL(join(built, 'src', `${module}.js`)).href
  return lowerDesign(fileName, { root: built }, host, options, moduleUrl)
}
