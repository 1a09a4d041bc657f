/**
 * Who rests on something that a patch changes and the model does not have by itself: a helper, a
 * macro, a value, a field. From user to user, until functions that the model has: these are not what
 * they were, whatever the model says.
 */
import type { CTable } from './c/functions.js'
import type { Item } from './items.js'
import { camelCase, type ModelFunction } from './model/dictionary.js'
import type { Scope } from './model/scope.js'
import { SLOTS } from './translate/crosswalk.js'

/** The C that there is: of the tree as the patch leaves it, or only what its hunks show. */
export interface Surrounding {
  /** Without a tree nobody knows who else uses what is not static. */
  readonly isWhole: boolean
  /** Files in which the word stands, and what is at their top. */
  filesWith(word: string): readonly { readonly path: string; readonly items: readonly Item[] }[]
}

export interface Ripple {
  /** C functions that the model has, with the file that they are in. */
  readonly users: readonly { readonly name: string; readonly file: string }[]
  /** Functions of the model that nobody of these runs in. */
  readonly inModel: readonly ModelFunction[]
  /** Why it cannot be said who rests on it: everything may. */
  readonly everything: string | undefined
}

/** A search that has come so far without an end says that everything may be concerned. */
const MOST_WORDS = 60
const MOST_FILES = 120

export interface Word {
  readonly word: string
  /** The only file that sees it. */
  readonly only: string | undefined
}

export function ripple(
  from: readonly Word[],
  scope: Scope,
  around: Surrounding,
  isModelled: (name: string, file: string) => boolean,
): Ripple {
  const users = new Map<string, { name: string; file: string }>()
  const inModel = new Set(from.flatMap(({ word }) => usersInModel(word, scope)))
  const seen = new Set<string>()
  const files = new Set<string>()
  const queue = [...from]
  const done = (everything?: string): Ripple => ({
    ...{ users: [...users.values()], inModel: [...inModel], everything },
  })
  for (const { word, only } of queue) {
    if (seen.has(`${word} ${only}`)) continue
    seen.add(`${word} ${only}`)
    if (seen.size > MOST_WORDS) return done(`${from[0]?.word} is used all over the kernel`)
    if (!around.isWhole && only === undefined) {
      return done(`without a tree nobody knows who uses ${word}`)
    }
    const mention = new RegExp(`\\b${word}\\b`)
    for (const { path, items } of around.filesWith(word)) {
      if (only !== undefined && path !== only) continue
      files.add(path)
      if (files.size > MOST_FILES) return done(`${from[0]?.word} is used all over the kernel`)
      for (const item of items) {
        if (item.name === word || !mention.test(item.text)) continue
        if (item.kind === 'function' && isModelled(item.name, path)) {
          users.set(item.name, { name: item.name, file: path })
        } else if (item.kind === 'table') {
          const slot = slotUser(item, word, scope)
          if (typeof slot === 'object') inModel.add(slot)
          else queue.push({ word: slot ?? item.name, only: undefined })
        } else if (/^(?:function|macro|constant|data)$/.test(item.kind)) {
          const own = item.isStatic && !path.endsWith('.h') ? path : undefined
          queue.push({ word: item.name, only: own })
        } else if (item.kind === 'unknown') {
          return done(`the parser cannot read who uses ${word} in ${path}`)
        } else if (item.kind === 'call' && /^(?:module_|\w*initcall)/.test(item.text)) {
          return done(`${word} runs when the kernel boots`)
        }
      }
    }
  }
  return done()
}

/** What a table of operations calls it: the model's function there, or the name of the slot. */
function slotUser(item: Item, word: string, scope: Scope): ModelFunction | string | undefined {
  const name = new RegExp(`\\.(\\w+) ?= ?&?${word}\\b`).exec(item.text)?.[1]
  if (name === undefined) return undefined
  const ts = scope.tableNamed(item.name)?.slots?.[SLOTS[name] ?? camelCase(name)]
  const f = ts === undefined ? undefined : scope.functionTs(ts)
  return f === undefined || f.place === '' ? name : f
}

/** Functions of the model that name a constant, or a helper that is none of its kernel functions. */
export function usersInModel(word: string, scope: Scope): ModelFunction[] {
  const helper = scope.callee(word)
  const names = [scope.value(word)?.ts, helper?.kind === 'helper' ? helper.ts : undefined]
  const queue = names.filter((n) => n !== undefined)
  const found = new Set<ModelFunction>()
  for (const name of queue) {
    const mention = new RegExp(`(?<![\\w.$])${name}\\b`)
    for (const f of scope.all()) {
      if (f.ts === name || !mention.test(f.source)) continue
      if (f.kind !== 'helper') found.add(f)
      else if (!queue.includes(f.ts)) queue.push(f.ts)
    }
  }
  return [...found]
}

/** Slots that a patch changes and the model's table does not have: who calls them. */
export function slotWords(table: CTable, slots: readonly string[]): Word[] {
  const prefix = table.struct.replace(/_ops$|_operations$/, '')
  return slots.flatMap((s) => [
    { word: s, only: undefined },
    { word: `${prefix}_${s}`, only: undefined },
  ])
}
