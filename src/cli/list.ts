/** `list`: what there is. */
import { UserError } from '../app/error.js'
import { headOf, packagedFiles } from '../app/host/files.js'
import { builtFile } from '../app/host/package.js'
import { suggest } from '../litmus/error.js'
import { wrap } from '../report/paint.js'
import { type BuiltList, type Entry, LISTS, type ListName } from './lists.js'

/** The lists of `tables.ts`, as the build has written them down. */
export function builtLists(): Readonly<Record<BuiltList, readonly Entry[]>> {
  return JSON.parse(builtFile('lists.json'))
}

function entriesOf(what: ListName): readonly Entry[] {
  if (what !== 'scenarios') return builtLists()[what]
  return packagedFiles()
    .map(headOf)
    .map(({ name, question }) => ({ name, text: question }))
}

function isList(what: string): what is ListName {
  return (LISTS as readonly string[]).includes(what)
}

/** A list, in lines of a width. @throws UserError if there is none of this name. */
export function list(what: string, width: number): string {
  if (!isList(what)) {
    throw new UserError(`nothing to list called "${what}".${suggest(what, LISTS)}`)
  }
  return entriesOf(what)
    .map((e) => textOf(e, width))
    .join('\n')
}

function textOf({ name, text, source }: Entry, width: number): string {
  const from = source === undefined || source === '' ? [] : [wrap(`[${source}]`, width, '    ')]
  return [name, wrap(text, width, '    '), ...from].join('\n')
}
