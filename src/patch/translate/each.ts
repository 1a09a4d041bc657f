/** Loops by macro: over an XArray, over a list. */

import type { CNode } from '../c/parse.js'
import { squash } from '../c/parse.js'
import { coerce, sure } from './convert.js'
import { LISTS } from './crosswalk.js'
import { place, value } from './expression.js'
import { loopBody, retype } from './statement.js'
import { structOf, type Type } from './types.js'
import { Hole, type Work } from './work.js'

export function each(w: Work, macro: CNode, body: CNode, s: CNode): void {
  const [kind, ...args] = (macro.fields.arguments as CNode).kids
  const name = kind?.text ?? ''
  if (/^xa_for_each(?:_range)?$/.test(name)) eachEntry(w, args, body)
  else if (/^list_for_each_entry(?:_safe|_reverse|_rcu)?$/.test(name)) {
    eachListed(w, name.endsWith('_safe'), args, body, s)
  } else throw new Hole(`the loop ${name}`, s)
}

const PAGE_OFFSET: Type = { k: 'wide', name: 'Pgoff' }

/** xa_for_each(): the bounds are evaluated once, every look into the array is announced. */
function eachEntry(w: Work, args: readonly CNode[], body: CNode): void {
  const [array, index, entry, start, last] = args as [CNode, CNode, CNode, CNode?, CNode?]
  const xa = value(w, array).code
  const i = place(w, index)
  const e = place(w, entry)
  if (i.local !== undefined) retype(w, i.local, PAGE_OFFSET)
  const struct = structOf(e.type)
  if (struct === undefined) throw new Hole('a loop over entries of an unknown kind', entry)
  const from = start === undefined ? '0 as Pgoff' : coerce(value(w, start), PAGE_OFFSET).code
  const to = last === undefined ? 'PGOFF_MAX' : w.keep(coerce(value(w, last), PAGE_OFFSET).code)
  const look = (): void => {
    if (w.announces && w.scope.isAnnounced('XArray', 'xaHead'))
      w.emit(`yield read(${xa}, 'xaHead')`)
  }
  look()
  w.emit(`${i.code} = xaFindIndex(${xa}, ${from}, ${to}) as Pgoff`)
  w.emit('for (;;) {', `if (${i.code} < 0) break`)
  w.emit(`${e.code} = xaLoad(${xa}, ${i.code}) as ${struct}`)
  loopBody(
    w,
    body,
    () => {
      look()
      w.emit(`${i.code} = xaFindAfterIndex(${xa}, ${i.code}, ${to}) as Pgoff`)
    },
    true,
  )
  w.emit('}')
}

function eachListed(w: Work, safe: boolean, args: readonly CNode[], body: CNode, s: CNode): void {
  const at = place(w, args[0] as CNode)
  const head = args[safe ? 2 : 1] as CNode
  const link = args[safe ? 3 : 2]?.text ?? ''
  const field = head.type === 'pointer_expression' ? head.fields.argument : w.heads.get(head.text)
  if (field?.type !== 'field_expression') throw new Hole('a list whose head is not known', s)
  const row = LISTS[`${field.fields.field?.text},${link}`]
  if (row === undefined) {
    throw new Hole(`the list ${squash(field.text)} through ${link} is not in the model`, s)
  }
  const base = sure(value(w, field.fields.argument as CNode))
  w.emit(`${at.code} = ${row.first.replace('$head', base)}`)
  w.emit('for (;;) {', `if (${at.code} === null) break`)
  loopBody(w, body, () => w.emit(`${at.code} = ${at.code}!.${row.next}`), true)
  w.emit('}')
}
