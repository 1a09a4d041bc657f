/** Translated functions as a module of TypeScript that can be lowered and loaded. */
import type { Scope } from '../model/scope.js'

/** A slot of a table that the model has, by the model's names. */
export interface TableSlot {
  readonly table: string
  readonly slot: string
}

/** A function or table of the module, or a slot that is emptied. */
export interface Piece {
  readonly name: string
  /** `fn(function* …)` or `opsTable({…})`. */
  readonly text: string
  /** Its type, if it must be said. */
  readonly type?: string
  /** The model's function in whose place it runs. */
  readonly replaces?: string
  /** Slots of the model's tables that hold it. */
  readonly slots?: readonly TableSlot[]
  /** What it was made from, for its comment. */
  readonly comment: string
  /** Of a trap: what it lacks. */
  readonly why?: string
}

/** The end of a path on which the model cannot go on; the cell is not judged. */
const TRAP = `function hole(what: string): never {
  mark(\`hole \${what}\`)
  throw new KernelFault('not-modelled', 'undefined', what)
}`

/** What C would wrap: below 0, and beyond what stands for the last page number. */
const NO_WRAP = `function noWrap(n: number): number {
  if (n < 0 || n > PGOFF_MAX) hole('a sum of numbers without a sign wraps')
  return n
}`

/** Mark of a trap that has been reached: what it lacks follows. */
export const HOLE_MARK = 'hole '
/** Mark of a line of the patch that has run: function and line follow. */
export const LINE_MARK = 'line '

/** How a piece's replacements are called in `made`. */
export function replacedBy(piece: Piece): string[] {
  const slots = (piece.slots ?? []).map((s) => `${s.table}.${s.slot}`)
  return [...(piece.replaces === undefined ? [] : [piece.replaces]), ...slots]
}

/**
 * The module's text. It exports `made`: for each replaced function of the model, by its name, and
 * for each slot of a table, what takes its place.
 */
export function moduleText(pieces: readonly Piece[], scope: Scope, head: string): string {
  const made = [...pieces.flatMap(replacesOf), ...pieces.flatMap(slotsOf)].join('\n')
  return module(pieces, scope, head, `export const made = {\n${made}\n}\n`)
}

/** The same as a design, with an id. */
export function designText(
  pieces: readonly Piece[],
  scope: Scope,
  { id, summary }: { readonly id: string; readonly summary: string },
): string {
  const base = scope.dictionary.designs[scope.design.id]?.name ?? ''
  const list = (of: (p: Piece) => string[]): string =>
    pieces
      .flatMap(of)
      .map((l) => l.replace(/^ *(?:'[^']*'|\w+): /, '    '))
      .join('\n')
  const exported = `export const design = defineDesign({
  id: ${JSON.stringify(id)},
  summary: ${JSON.stringify(summary)},
  base: ${base},
  cite: [],
  replaces: [
${list(replacesOf)}
  ],
  slots: [
${list(slotsOf)}
  ],
})
`
  return module(pieces, scope, summary, exported)
}

/** The id of the design that the patch with this subject makes. */
export function designId(subject: string): string {
  const slug = subject.replace(/^(?:Re: *)*\[[^\]]*\] */i, '').toLowerCase()
  return `review-${slug.replace(/[^a-z0-9]+/g, '-').slice(0, 40)}`.replace(/-$/, '')
}

/** The piece that a line of a module's text belongs to. */
export function ownerOf(source: string, line: number): string | undefined {
  const lines = source.split('\n').slice(0, line)
  for (const l of lines.reverse()) {
    const name = /^const ([\w$]+)/.exec(l)?.[1]
    if (name !== undefined) return name
  }
  return undefined
}

function replacesOf(p: Piece): string[] {
  return p.replaces === undefined ? [] : [`  ${p.replaces}: replace(${p.replaces}, ${p.name}),`]
}

function slotsOf(p: Piece): string[] {
  const by = p.text === 'undefined' ? 'undefined' : p.name
  return (p.slots ?? []).map(
    ({ table, slot }) => `  '${table}.${slot}': replaceSlot(${table}, '${slot}', ${by}),`,
  )
}

function module(pieces: readonly Piece[], scope: Scope, head: string, exported: string): string {
  const declared = pieces.filter((p) => p.text !== 'undefined')
  const declarations = declared.map(
    (p) =>
      `/** ${p.comment.replaceAll('*/', '* /')} */\nconst ${p.name}${p.type === undefined ? '' : `: ${p.type}`} = ${p.text}`,
  )
  const helpers = declarations.some((d) => d.includes('noWrap(')) ? [TRAP, NO_WRAP] : [TRAP]
  const body = `${[...helpers, ...declarations].join('\n\n')}\n`
  const own = new Set(pieces.map((p) => p.name))
  return `/* ${head.replaceAll('*/', '* /')} */\n${importsOf(body + exported, own, scope)}\n\n${body}\n${exported}`
}

/** One import a file, for every name of the model that the text uses. */
function importsOf(text: string, own: ReadonlySet<string>, scope: Scope): string {
  const byFile = new Map<string, Set<string>>()
  const plain = text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g, '')
  const code = plain.replace(/'[^'\n]*'|"(?:\\.|[^"\\\n])*"/g, "''")
  for (const [name] of code.matchAll(/(?<![\w.$])[A-Za-z_]\w*\b(?!\$)/g)) {
    const file = own.has(name) ? undefined : scope.fileOf(name)
    if (file === undefined) continue
    const isType = scope.dictionary.types[name] === file || scope.ops(name) !== undefined
    const names = byFile.get(file) ?? new Set()
    byFile.set(file, names.add(isType ? `type ${name}` : name))
  }
  return [...byFile]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([file, names]) =>
        `import { ${[...names].sort().join(', ')} } from 'restrictedmem/${file}.js'`,
    )
    .join('\n')
}
