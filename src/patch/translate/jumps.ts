/** goto: jumps backwards make loops, jumps forwards leave labelled blocks. */
import { type CNode, descendants } from '../c/parse.js'
import { camelCase } from '../model/dictionary.js'
import { beginsScope } from './cleanup.js'
import { statement } from './statement.js'
import type { Work } from './work.js'

interface Label {
  readonly label: string
  readonly at: number
}

interface Loop {
  readonly label: string
  readonly body: readonly Item[]
}

type Item = CNode | Label | Loop

const isLabel = (i: Item): i is Label => 'at' in i
const isLoop = (i: Item): i is Loop => 'body' in i && Array.isArray((i as Loop).body)

/** A block with labels: jumps backwards make loops, jumps forwards leave blocks. */
export function labelled(w: Work, node: CNode, items: readonly CNode[]): void {
  let depth = w.cleanups.length
  const flat: Item[] = items.flatMap((s): Item[] => {
    const out: Item[] = []
    if (beginsScope(s)) depth++
    let at: CNode | undefined = s
    while (at?.type === 'labeled_statement') {
      const name: CNode | undefined = at.fields.label
      out.push({ label: name?.text ?? '', at: at.start })
      w.labels.set(name?.text ?? '', depth)
      at = at.kids.find((k) => k !== name)
    }
    return at === undefined ? out : [...out, at]
  })
  const jumps = descendants(node, 'goto_statement').map((g) => ({
    label: g.fields.label?.text ?? '',
    at: g.start,
  }))
  sequence(w, flat, jumps)
}

function sequence(
  w: Work,
  items: readonly Item[],
  jumps: readonly { label: string; at: number }[],
): void {
  const back = items.findIndex(
    (i) => isLabel(i) && jumps.some((j) => j.label === i.label && j.at > i.at),
  )
  if (back >= 0) {
    const { label } = items[back] as Label
    const mine = jumps.filter((j) => j.label === label)
    const last = items.findLastIndex(
      (i) => !isLabel(i) && !isLoop(i) && mine.some((j) => j.at >= i.start && j.at < i.end),
    )
    const body = items.slice(back + 1, last + 1)
    const rest = jumps.filter((j) => j.label !== label)
    w.loops.add(label)
    sequence(w, [...items.slice(0, back), { label, body }, ...items.slice(last + 1)], rest)
    return
  }
  const targets = items.filter(isLabel).filter((l) => jumps.some((j) => j.label === l.label))
  for (const t of [...targets].reverse()) w.emit(`${camelCase(t.label)}: {`)
  for (const item of items) {
    if (isLabel(item)) {
      if (targets.includes(item)) w.emit('}')
    } else if (isLoop(item)) {
      w.emit(`${camelCase(item.label)}: for (;;) {`)
      const inside = jumps.filter((j) => item.body.some((i) => isLabel(i) && i.label === j.label))
      sequence(w, item.body, inside)
      w.emit('break', '}')
    } else statement(w, item)
  }
}
