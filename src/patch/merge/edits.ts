/** What a patch does to a C function, statement by statement. */
import type { CFunction } from '../c/functions.js'
import { type CNode, squash } from '../c/parse.js'

/** One edit; neighbours are statements that both versions have. */
export type Edit =
  | {
      readonly kind: 'insert'
      readonly now: readonly CNode[]
      readonly before: CNode | undefined
      readonly after: CNode | undefined
      /** Of the list: the first, or the last of it. */
      readonly first: boolean
      readonly last: boolean
    }
  | { readonly kind: 'delete'; readonly old: CNode }
  /** The statement's own part: a condition, or all of a simple one. */
  | { readonly kind: 'change'; readonly old: CNode; readonly now: CNode }

export function editsBetween(before: CFunction, after: CFunction): Edit[] {
  const edits: Edit[] = []
  compare(listOf(before.body), listOf(after.body), edits)
  return edits
}

/** The statements of a block; of a single statement, that. */
export function listOf(node: CNode | undefined): readonly CNode[] {
  if (node === undefined) return []
  return node.type === 'compound_statement' ? node.kids : [node]
}

/** The lists of statements inside a statement. */
export function listsIn(node: CNode): readonly (readonly CNode[])[] {
  switch (node.type) {
    case 'if_statement':
      return [
        listOf(node.fields.consequence),
        (node.fields.alternative?.kids ?? []).flatMap((k) => listOf(k)),
      ]
    case 'for_statement':
    case 'while_statement':
    case 'do_statement':
      return [listOf(node.fields.body)]
    case 'labeled_statement':
      return [node.kids.slice(1)]
    case 'compound_statement':
      return [node.kids]
    default:
      return []
  }
}

/** A statement without the statements inside it. */
export function headOf(node: CNode): string {
  if (node.type === 'if_statement' || node.type === 'while_statement') {
    return squash(node.fields.condition?.text ?? '')
  }
  if (node.type === 'for_statement') {
    const body = node.fields.body
    return squash(node.text.slice(0, (body?.start ?? node.end) - node.start))
  }
  if (node.type === 'labeled_statement') return node.fields.label?.text ?? ''
  return squash(node.text)
}

function compare(a: readonly CNode[], b: readonly CNode[], edits: Edit[]): void {
  const pairs = commonPairs(a, b)
  const mates = new Map(pairs)
  const used = new Set(pairs.map(([, y]) => y))
  // What is left on both sides between the same neighbours, alike: changed in place.
  const [gapsA, gapsB] = [gaps(a, new Set(mates.keys())), gaps(b, new Set(used))]
  for (const x of a.filter((n) => !mates.has(n))) {
    const y = b.find(
      (n) =>
        !used.has(n) && gapsA.get(x) === gapsB.get(n) && n.type === x.type && likeness(x, n) >= 0.3,
    )
    if (y === undefined) continue
    mates.set(x, y)
    used.add(y)
    if (headOf(x) !== headOf(y)) edits.push({ kind: 'change', old: x, now: y })
    const [p, q] = [listsIn(x), listsIn(y)]
    for (let i = 0; i < Math.max(p.length, q.length); i++) compare(p[i] ?? [], q[i] ?? [], edits)
  }
  for (const x of a) if (!mates.has(x)) edits.push({ kind: 'delete', old: x })
  inserts(b, new Map([...mates].map(([x, y]) => [y, x])), edits)
}

/** For each statement, how many that both lists have stand before it. */
function gaps(list: readonly CNode[], common: ReadonlySet<CNode>): ReadonlyMap<CNode, number> {
  let before = 0
  return new Map(list.map((n) => [n, common.has(n) ? before++ : before]))
}

/** Statements of the new list that are in none of the pairs, those in a row together. */
function inserts(b: readonly CNode[], olds: ReadonlyMap<CNode, CNode>, edits: Edit[]): void {
  for (let i = 0; i < b.length; i++) {
    if (olds.has(b[i] as CNode)) continue
    let end = i
    while (end + 1 < b.length && !olds.has(b[end + 1] as CNode)) end++
    const [before, after] = [b[i - 1], b[end + 1]]
    edits.push({
      kind: 'insert',
      now: b.slice(i, end + 1),
      before: before && olds.get(before),
      after: after && olds.get(after),
      first: i === 0,
      last: end === b.length - 1,
    })
    i = end
  }
}

function commonPairs(a: readonly CNode[], b: readonly CNode[]): [CNode, CNode][] {
  const same = (i: number, j: number): boolean =>
    squash((a[i] as CNode).text) === squash((b[j] as CNode).text)
  const best: number[][] = Array.from({ length: a.length + 1 }, () => Array(b.length + 1).fill(0))
  const at = (i: number, j: number): number => best[i]?.[j] ?? 0
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const row = best[i] as number[]
      row[j] = same(i, j) ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const pairs: [CNode, CNode][] = []
  let [i, j] = [0, 0]
  while (i < a.length && j < b.length) {
    if (same(i, j)) pairs.push([a[i++] as CNode, b[j++] as CNode])
    else if (at(i + 1, j) >= at(i, j + 1)) i++
    else j++
  }
  return pairs
}

function likeness(x: CNode, y: CNode): number {
  const words = (n: CNode): Set<string> => new Set(headOf(n).match(/[A-Za-z_]\w+/g) ?? [])
  return overlap(words(x), words(y))
}

/** How much two sets of words have in common: 0 to 1. */
export function overlap(x: ReadonlySet<string>, y: ReadonlySet<string>): number {
  let both = 0
  for (const w of x) if (y.has(w)) both++
  const all = x.size + y.size - both
  return all === 0 ? 0 : both / all
}
