/** `restrictedmem fidelity --linux TREE --changed-since VERSION`: whose body is another one. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { UserError } from '../app/error.js'
import { packagedFile } from '../app/host/package.js'
import { citedVersion, type Found, type Hashes, modelledIn } from '../patch/fingerprint.js'
import type { Dictionary } from '../patch/model/dictionary.js'
import { EXIT } from './exit.js'
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

export function changedSince(
  tree: string,
  version: string,
  words: Dictionary,
  isJson: boolean,
): number {
  const hashes = JSON.parse(readFileSync(packagedFile(HASHES), 'utf8')) as Hashes
  const known = Object.keys(hashes.versions)
  if (version !== 'cited' && !known.includes(version)) {
    throw new UserError(`there are hashes of ${known.join(', ')}, and "cited"; not of ${version}`)
  }
  const rows = rowsSince(modelledIn(modelledFiles(tree, words), words), version, hashes)
  process.stdout.write(isJson ? `${JSON.stringify(rows, undefined, 1)}\n` : told(rows, version))
  return EXIT.OK
}

function told(rows: readonly SinceRow[], version: string): string {
  const of = (word: SinceRow['word']): readonly SinceRow[] => rows.filter((r) => r.word === word)
  const then = version === 'cited' ? 'in the version that the model cites' : `in ${version}`
  const lines = of('another body').map(
    (r) => `  ${r.c}, ${r.file}${version === 'cited' ? `, since ${r.since}` : ''}`,
  )
  const none = of('no hash').map((r) => r.c)
  return [
    `${rows.length} functions of the model are in this tree: ${of('same').length} as ${then},`,
    `${lines.length} with another body, ${none.length} of which there is no hash.`,
    ...(lines.length > 0 ? ['', 'Another body:', ...lines] : []),
    ...(none.length > 0 ? ['', 'No hash:', ...none.map((n) => `  ${n}`)] : []),
    '',
  ].join('\n')
}
