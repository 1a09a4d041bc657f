/**
 * C to a tree of plain objects. The grammar is tree-sitter's; who starts the parser gives it the
 * grammar's bytes, so that this runs wherever WebAssembly does.
 */
import { Language, type Node, Parser } from 'web-tree-sitter'
import { normalise } from './normalise.js'

/** A node of the syntax tree. Text and lines are those of the normalised source. */
export interface CNode {
  /** As the grammar names it: `if_statement`. */
  readonly type: string
  readonly text: string
  /** Offset of the first character, and behind the last. */
  readonly start: number
  readonly end: number
  /** From 1. */
  readonly line: number
  /** Named children, comments left out. */
  readonly kids: readonly CNode[]
  readonly fields: Readonly<Record<string, CNode>>
  /** Of an operator's node: `+`, `->`, `*`. */
  readonly operator: string | undefined
  /** The grammar could not read all of it. */
  readonly broken: boolean
}

let parser: Parser | undefined

/**
 * Start the parser, once; `grammar` is tree-sitter-c as WebAssembly. The parser's own core is found
 * beside its module, or is `core`, where there are no files.
 */
export async function startParser(grammar: Uint8Array, core?: Uint8Array): Promise<void> {
  if (parser !== undefined) return
  await Parser.init(core && { wasmBinary: core, locateFile: (name: string) => name })
  const made = new Parser()
  made.setLanguage(await Language.load(grammar))
  parser = made
}

/** The tree of a C source; parts that can't be read are marked as broken. */
export function parseC(source: string): CNode {
  if (parser === undefined) throw new Error('startParser() has not been called')
  const text = normalise(source)
  const tree = parser.parse(text)
  if (!tree) throw new Error('the C parser gave up')
  const root = plain(tree.rootNode, text)
  tree.delete()
  return root
}

const OPERATOR_NODES = /_expression$/

function plain(node: Node, text: string): CNode {
  const kids: CNode[] = []
  const fields: Record<string, CNode> = {}
  let operator: string | undefined
  node.children.forEach((child, i) => {
    if (child?.type === 'comment' || !child) return
    if (!child.isNamed) {
      if (OPERATOR_NODES.test(node.type) && /^[^\w\s()[\],;]/.test(child.type)) {
        operator ??= child.type
      }
      return
    }
    const made = plain(child, text)
    kids.push(made)
    const name = node.fieldNameForChild(i)
    if (name) fields[name] ??= made
  })
  return {
    type: node.type,
    text: text.slice(node.startIndex, node.endIndex),
    start: node.startIndex,
    end: node.endIndex,
    line: node.startPosition.row + 1,
    kids,
    fields,
    operator,
    broken: node.hasError,
  }
}

/** All nodes below `node` that have one of these types, itself included, in order. */
export function descendants(node: CNode, ...types: readonly string[]): CNode[] {
  const found: CNode[] = []
  const visit = (n: CNode): void => {
    if (types.includes(n.type)) found.push(n)
    n.kids.forEach(visit)
  }
  visit(node)
  return found
}

/** White space made one blank, for comparisons and messages. */
export function squash(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
