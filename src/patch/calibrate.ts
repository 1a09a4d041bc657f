/**
 * Is the model still the kernel? Functions of a tree, translated whole, take the place of the
 * model's, one at a time: what all executions lead to must not change.
 */
import type { CFunction, CTable } from './c/functions.js'
import { descendants } from './c/parse.js'
import type { ModelFunction } from './model/dictionary.js'
import type { Scope } from './model/scope.js'
import { bodiesFor, isOfPart } from './targets.js'
import { moduleText, type Piece } from './translate/module.js'
import { Session, type Sources } from './translate/session.js'
import { Hole, type HoleNote } from './translate/work.js'

/** A C file of the tree, read. */
export interface TreeFile {
  readonly path: string
  readonly functions: ReadonlyMap<string, CFunction>
  readonly tables: ReadonlyMap<string, CTable>
}

/** A function that the tree and the model both have. */
export interface Candidate {
  readonly c: string
  readonly file: string
  readonly target: ModelFunction
  /** Why it cannot be compared; undefined if it was translated. */
  readonly reason: HoleNote | undefined
  readonly pieces: readonly Piece[]
  /** What it calls, by C name. */
  readonly calls: ReadonlySet<string>
}

/** All functions of the files that the design has one body for. */
export function candidates(
  files: readonly TreeFile[],
  scope: Scope,
  wanted: (c: string) => boolean = () => true,
): Candidate[] {
  const found: Candidate[] = []
  const done = new Set<string>()
  for (const file of files) {
    for (const f of file.functions.values()) {
      if (done.has(f.name) || !wanted(f.name)) continue
      const bodies = bodiesFor(scope, f.name).filter((b) => isOfPart(b, file.path))
      if (bodies.length === 0) continue
      done.add(f.name)
      found.push(candidate(f, file, bodies, scope))
    }
  }
  return found
}

function candidate(
  f: CFunction,
  file: TreeFile,
  bodies: readonly ModelFunction[],
  scope: Scope,
): Candidate {
  const target = bodies[0] as ModelFunction
  const base = { c: f.name, file: file.path, target, pieces: [], calls: calledBy(f) }
  const no = (reason: string, line = f.node.line): Candidate => ({
    ...base,
    reason: { reason, line, c: '' },
  })
  if (bodies.length > 1) return no('the model has several bodies for it')
  if (f.node.broken) return no('the C parser cannot read it')
  const session = new Session(scope, sourcesOf(file))
  try {
    const made = session.inPlace(f, target)
    const [hole] = made.holes
    if (hole !== undefined) return { ...base, reason: hole }
    const [untold] = session.tableHoles
    if (untold !== undefined) return no(untold)
    return {
      ...base,
      reason: undefined,
      pieces: [...session.pieces, replacement(f, file.path, target, made.text, scope)],
    }
  } catch (error) {
    if (!(error instanceof Hole)) throw error
    return no(error.message, error.node.line)
  }
}

/** The C names of what a function calls. */
export function calledBy(f: CFunction): ReadonlySet<string> {
  const calls = descendants(f.body, 'call_expression')
  return new Set(calls.map((c) => c.fields.function?.text ?? ''))
}

/** A file's own functions, as far as they are helpers of its others. */
export function sourcesOf(file: TreeFile): Sources {
  return {
    functionNamed: (name) => {
      const f = file.functions.get(name)
      return f === undefined ? undefined : { f, file: file.path }
    },
    tableNamed: (name) => file.tables.get(name),
  }
}

/** The function as a piece that runs in the model's place. */
export function replacement(
  f: CFunction,
  file: string,
  target: ModelFunction,
  text: string,
  scope: Scope,
): Piece {
  return {
    name: `${target.ts}$`,
    text: `fn(${text})`,
    replaces: (scope.slotOf(target) ?? target).ts,
    comment: `${file} ${f.name}.`,
  }
}

/** The pieces of a group, each once; undefined if two of them have one name and are not the same. */
export function piecesOf(group: readonly Candidate[]): readonly Piece[] | undefined {
  const pieces: Piece[] = []
  for (const p of group.flatMap((c) => c.pieces)) {
    if (clashes(p, pieces)) return undefined
    if (!pieces.some((q) => q.name === p.name)) pieces.push(p)
  }
  return pieces
}

/**
 * As few modules as hold each group whole, since helpers of two groups may have one name, and the
 * number of its module for each group.
 */
export function calibrationModules(
  groups: readonly (readonly Piece[])[],
  scope: Scope,
): { readonly texts: string[]; readonly homes: readonly number[] } {
  const modules: Piece[][] = []
  const homes = groups.map((pieces) => {
    const fits = modules.findIndex((m) => pieces.every((p) => !clashes(p, m)))
    const home = fits >= 0 ? fits : modules.push([]) - 1
    const module = modules[home] as Piece[]
    for (const p of pieces) if (!module.some((q) => q.name === p.name)) module.push(p)
    return home
  })
  return { texts: modules.map((m) => moduleText(m, scope, 'calibration')), homes }
}

function clashes(piece: Piece, group: readonly Piece[]): boolean {
  const same = group.find((q) => q.name === piece.name)
  return same !== undefined && same.text !== piece.text
}
