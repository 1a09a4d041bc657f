/** What the user names: litmus files, designs by id or by path. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, extname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Design } from '../designs/design.js'
import { DESIGNS } from '../designs/index.js'
import { hash8 } from '../explore/token.js'
import { designNamed } from '../hosts/index.js'
import { LitmusError, suggest } from '../litmus/error.js'
import { readScenario, type Scenario } from '../litmus/scenario.js'
import { FINDING_KINDS } from '../sanitizers/index.js'

/** A mistake of the user's: a message, no stack trace. */
export class UserError extends Error {}

/** A design and, for one by path, its lowered text, by which a worker can load it too. */
export interface DesignRef {
  readonly id: string
  readonly module: string | undefined
}

export interface ScenarioFile {
  readonly path: string
  readonly text: string
  readonly scenario: Scenario
}

/** The package's root: this file is built to `dist/src/cli/inputs.js`. */
const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')

/** A file that comes with the package. */
export function packagedFile(name: string): string {
  return join(root, name)
}

/** Identifies the code that a token belongs to; written by the build. */
export function codeVersion(): { readonly version: string; readonly code: string } {
  return JSON.parse(readFileSync(join(root, 'dist/version.json'), 'utf8')) as {
    version: string
    code: string
  }
}

/** The hash in a token: the code, the scenario's text, the design's text. */
export function tokenHash(scenarioText: string, design: DesignRef): string {
  return hash8(`${codeVersion().code}\n${scenarioText}\n${design.module ?? design.id}`)
}

function litmusFiles(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => a.name.localeCompare(b.name))
    .flatMap((e) => {
      const inner = join(path, e.name)
      if (e.isDirectory()) return litmusFiles(inner)
      return extname(e.name) === '.litmus' ? [inner] : []
    })
}

/** Scenarios whose subject is a host that protects memory; they have matrices of their own. */
const HOSTS_AREA = join(root, 'litmus/hosts')

/** Paths of the scenarios that come with the project, those about hosts left out. */
export function builtInFiles(): string[] {
  return litmusFiles(join(root, 'litmus')).filter((f) => dirname(f) !== HOSTS_AREA)
}

/** Paths of the scenarios about hosts. */
export function hostFiles(): string[] {
  return litmusFiles(HOSTS_AREA)
}

/** Paths of the recordings that come with the project. */
export function builtInTranscripts(): string[] {
  const folder = join(root, 'transcripts')
  return readdirSync(folder)
    .filter((name) => extname(name) === '.jsonl')
    .sort()
    .map((name) => join(folder, name))
}

/** `punch/punch-vs-guest-fault`, for a file that comes with the project. */
function nameOf(path: string): string {
  return relative(join(root, 'litmus'), path).replace(/\.litmus$/, '')
}

/** The built-in file of this name, or all files of an area. */
function builtInNamed(name: string): string[] {
  const area = `${name.replace(/\/$/, '')}/`
  const all = [...builtInFiles(), ...hostFiles()]
  return all.filter((f) => nameOf(f) === name || nameOf(f).startsWith(area))
}

/** Read and bind scenarios; a directory means all files in it. @throws UserError */
export function readScenarios(
  paths: readonly string[],
  designs: readonly string[],
): ScenarioFile[] {
  const known = {
    designs: [...new Set([...DESIGNS.map((d) => d.id), ...designs])],
    findings: FINDING_KINDS.map((k) => k.id),
  }
  const files = paths.flatMap((p) => {
    if (existsSync(p)) {
      const inside = litmusFiles(p)
      if (inside.length === 0) throw new UserError(`${p}: no .litmus files in this directory`)
      return inside
    }
    const named = builtInNamed(p)
    if (named.length > 0) return named
    throw new UserError(`${p}: no such file or scenario.${suggest(p, builtInFiles().map(nameOf))}`)
  })
  return files.map((path) => {
    const text = readText(path)
    try {
      return { path, text, scenario: readScenario(text, known) }
    } catch (error) {
      if (!(error instanceof LitmusError)) throw error
      throw new UserError(`${path}:${error.line}:${error.column}: ${error.message}`)
    }
  })
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UserError(`${path}: ${(error as Error).message}`)
  }
}

/** Load a design's module: JavaScript text that exports `design`. */
export async function loadDesignModule(module: string): Promise<Design> {
  const url = `data:text/javascript;base64,${Buffer.from(module).toString('base64')}`
  const loaded = (await import(url)) as { design?: Design }
  if (loaded.design?.replaces === undefined) {
    throw new UserError('the design file exports no `design` made by defineDesign()')
  }
  return loaded.design
}

/** The design that a reference names. */
export async function loadDesign(ref: DesignRef): Promise<Design> {
  if (ref.module !== undefined) return loadDesignModule(ref.module)
  return designNamed(ref.id) as Design
}

/** From an id, or the path of a file, to a design. @throws UserError */
export async function resolveDesign(name: string): Promise<DesignRef> {
  if (designNamed(name) !== undefined) return { id: name, module: undefined }
  if (!/[/\\]|\.ts$/.test(name)) {
    const hint = suggest(
      name,
      DESIGNS.map((d) => d.id),
    )
    throw new UserError(`there is no design "${name}".${hint} A file's name ends in .ts.`)
  }
  // The compiler is loaded only when it is needed.
  const { lowerDesignFile } = await import('../lower/host.js')
  const { text, problems } = lowerDesignFile(name)
  if (problems.length > 0) {
    throw new UserError(
      problems
        .map((p) => `${p.file}${p.line > 0 ? `:${p.line}:${p.column}` : ''}: ${p.message}`)
        .join('\n'),
    )
  }
  const design = await loadDesignModule(text)
  if (DESIGNS.some((d) => d.id === design.id)) {
    throw new UserError(`${name}: the id "${design.id}" belongs to a built-in design`)
  }
  return { id: design.id, module: text }
}
