/** The formats that a report can have: the files of `report/formats`, each loaded when asked for. */
import { readdirSync } from 'node:fs'
import { UserError } from '../../app/error.js'
import { suggest } from '../../litmus/error.js'
import type { Format } from '../format.js'

const FOLDER = new URL('../formats/', import.meta.url)

export function formatNames(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.js'))
    .map((name) => name.slice(0, -'.js'.length))
    .sort()
}

/** @throws UserError if there is none of this name. */
export async function formatNamed(name: string): Promise<Format> {
  const names = formatNames()
  if (!names.includes(name)) {
    throw new UserError(`there is no format "${name}".${suggest(name, names)}`)
  }
  const { format } = (await import(new URL(`${name}.js`, FOLDER).href)) as { format: Format }
  return format
}
