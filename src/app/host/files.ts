/** Litmus files: those of the package, and what a name on the command line stands for. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import paths, { extname, join, resolve, sep } from 'node:path'
import { suggest } from '../../litmus/error.js'
import { UserError } from '../error.js'
import { packagedFile } from './package.js'

function litmusFilesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((e) => {
      const inner = join(folder, e.name)
      if (e.isDirectory()) return litmusFilesIn(inner)
      return extname(e.name) === '.litmus' ? [inner] : []
    })
}

/** The area of the scenarios about hosts, which have matrices of their own. */
const HOSTS_AREA = /^hosts\//

/** Paths of the scenarios that come with the project, those about hosts left out. */
export function builtInFiles(): string[] {
  return packagedFiles().filter((f) => !HOSTS_AREA.test(nameOf(f)))
}

/** Paths of the scenarios about hosts. */
export function hostFiles(): string[] {
  return packagedFiles().filter((f) => HOSTS_AREA.test(nameOf(f)))
}

/** Paths of all scenarios that come with the project. */
export function packagedFiles(): string[] {
  return litmusFilesIn(packagedFile('litmus'))
}

/** What a file is called from a folder on: with slashes, whatever `by` has between folders. */
export function nameFrom(folder: string, file: string, by: paths.PlatformPath = paths): string {
  return by.relative(folder, file).split(by.sep).join('/')
}

/** `punch/punch-vs-guest-fault`, for a file that comes with the project. */
export function nameOf(file: string): string {
  return nameFrom(packagedFile('litmus'), file).replace(/\.litmus$/, '')
}

/** Does a file come with the project? */
export function isBuiltIn(path: string): boolean {
  return path !== '-' && resolve(path).startsWith(packagedFile('litmus') + sep)
}

/** The built-in file of this name, or all files of an area. */
function builtInNamed(name: string): string[] {
  const area = `${name.replace(/\/$/, '')}/`
  return packagedFiles().filter((f) => nameOf(f) === name || nameOf(f).startsWith(area))
}

/** The files that a path or a name stands for; a directory means all files in it. */
export function filesOf(name: string): string[] {
  if (name === '-') return [name]
  if (existsSync(name)) {
    const inside = statSync(name).isDirectory() ? litmusFilesIn(name) : [name]
    if (inside.length === 0) throw new UserError(`${name}: no .litmus files in this directory`)
    return inside
  }
  const named = builtInNamed(name)
  if (named.length > 0) return named
  const hint = suggest(name, packagedFiles().map(nameOf))
  throw new UserError(`${name}: no such file or scenario.${hint}`)
}

/** @throws UserError if it can't be read. `-` is the standard input. */
export function readText(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8')
  } catch (error) {
    throw new UserError(`${path}: ${(error as Error).message}`)
  }
}

/** The name and the question of a built-in scenario, without binding the rest of it. */
export function headOf(path: string): { readonly name: string; readonly question: string } {
  const [, question = ''] = /^litmus\s+\S+\s+"([^"]*)"/m.exec(readText(path)) ?? []
  return { name: nameOf(path), question }
}
