/**
 * What a patch changes outside of functions. The model has its own types, values and macros: a
 * change of one is never judged itself, and neither is who rests on it.
 */
import { directivesOf } from './c/normalise.js'
import type { ChangedFile } from './changes.js'
import type { ItemChange } from './items.js'
import type { Context, Entry, How } from './plan.js'
import { NOTHING } from './plan.js'
import type { Word } from './users.js'

/** Whoever rests on these words is not judged, for this reason; the answer says who that is. */
export type Concern = (words: readonly Word[], why: string) => string

const SAYS_NOTHING =
  /^(?:EXPORT_|MODULE_|ALLOW_ERROR_INJECTION|BTF_|TRACE_EVENT|DEFINE_(?:TRACE|EVENT))/
const DEFINES = /^(?:static )?(?:DEFINE_|DECLARE_|H?LIST_HEAD)\w*\s*\(/

export function outsideEntry(change: ItemChange & { readonly file: string }, uses: Context): Entry {
  const { item, file } = change
  const { how, reason } = judged(change, uses)
  const holes = [{ reason, line: item.line, c: '' }]
  return { ...NOTHING, name: item.name, file, how, holes }
}

type Said = { readonly how: How; readonly reason: string }

const free = (reason: string): Said => ({ how: 'no effect', reason })

function judged({ what, item, file }: ItemChange & { readonly file: string }, uses: Context): Said {
  switch (item.kind) {
    case 'prototype':
      return free('a declaration')
    case 'call':
      if (SAYS_NOTHING.test(item.text)) return free('says nothing about what runs')
      if (DEFINES.test(item.text)) return data(what, item, file, uses)
      return wholeFile(file, `${item.name} is no function`, uses)
    case 'unknown':
      return wholeFile(file, `the parser cannot read "${item.name}"`, uses)
    case 'field':
      return what === 'changed' ? data(what, item, file, uses) : free(WHO)
    default:
      return data(what, item, file, uses)
  }
}

/** Fields that come are 0 before somebody writes them, and those who use a field that goes change. */
const WHO = 'by itself; who uses it says so'

function wholeFile(file: string, why: string, uses: Context): Said {
  uses.file(file, why)
  return { how: 'not modelled', reason: `${why}: what the model has of ${file} is not judged` }
}

function data(
  what: ItemChange['what'],
  { kind, name, isStatic, text }: ItemChange['item'],
  file: string,
  uses: Context,
): Said {
  const { concern, changes } = uses
  const only = isStatic && !file.endsWith('.h') ? file : undefined
  const names = kind === 'call' ? argumentsOf(text) : [name.slice(name.lastIndexOf('.') + 1)]
  const touched = new Set(changes.functions.map((c) => c.name))
  const decided = kind === 'macro' ? changes.around.decidedBy(name) : []
  for (const path of decided) wholeFile(path, `it is compiled as ${name} says`, uses)
  const isNew = what === 'new' && !changes.around.isNamed(names, touched)
  if (isNew && decided.length === 0) return free(WHO)
  const users = concern(
    names.map((word) => ({ word, only })),
    `it rests on ${name}, which the patch changes`,
  )
  const reason = `the model has its own; who rests on it: ${users}`
  return { how: 'not modelled', reason }
}

/** `DEFINE_PER_CPU(type, name)`: any of them may be the name. */
function argumentsOf(text: string): string[] {
  const inside = text.slice(text.indexOf('(') + 1)
  return [...new Set(inside.match(/[A-Za-z_]\w*/g) ?? [])].slice(0, 4)
}

/** Code that is there, and that the configuration of the model does not compile. */
export function leftOut(file: ChangedFile): Entry[] {
  const [was, now] = [file.before, file.after].map((side) => directivesOf(side.text).left)
  if (was === now) return []
  const holes = [{ reason: 'not compiled in the configuration of the model', line: 0, c: '' }]
  return [{ ...NOTHING, name: file.path, file: file.path, how: 'no effect', holes }]
}
