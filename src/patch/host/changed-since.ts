/** Functions of a tree whose body is another one than in a published version. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { UserError } from '../../app/error.js'
import { packagedFile } from '../../app/host/package.js'
import { citedVersion, type Found, type Hashes, modelledIn } from '../fingerprint.js'
import type { Dictionary } from '../model/dictionary.js'
import { modelledFiles } from './tree.js'

/** Where the hashes of published versions are. */
export const HASHES = 'docs/linux-functions.json'

/** Of a function's tokens. */
export function hashOf(tokens: string): string {
  return createHash('sha256').update(tokens).digest('hex').slice(0, 12)
}

export interface SinceRow {
  readonly c: string
  readonly file: string
  readonly since: string
  readonly word: 'same' | 'another body' | 'no hash'
}

/** Each function of a tree beside a version; with `cited`, beside the one that the model cites. */
export function rowsSince(found: readonly Found[], version: string, hashes: Hashes): SinceRow[] {
  return found.map(({ c, file, tokens, model }) => {
    const since = version === 'cited' ? (citedVersion(model) ?? '') : version
    const known = hashes.functions[c]?.[since]
    const word =
      known === undefined ? 'no hash' : known === hashOf(tokens) ? 'same' : 'another body'
    return { c, file, since, word }
  })
}

/** The same of a tree on the disk. @throws UserError if there are no hashes of the version */
export function changesSince(tree: string, version: string, words: Dictionary): SinceRow[] {
  const hashes = JSON.parse(readFileSync(packagedFile(HASHES), 'utf8')) as Hashes
  const known = Object.keys(hashes.versions)
  if (version !== 'cited' && !known.includes(version)) {
    throw new UserError(`there are hashes of ${known.join(', ')}, and "cited"; not of ${version}`)
  }
  return rowsSince(modelledIn(modelledFiles(tree, words), words), version, hashes)
}
