/** `restrictedmem fidelity --linux TREE --changed-since VERSION`: whose body is another one. */
import { changesSince, type SinceRow } from '../patch/host/changed-since.js'
import type { Dictionary } from '../patch/model/dictionary.js'
import { EXIT } from './exit.js'

export function changedSince(
  tree: string,
  version: string,
  words: Dictionary,
  isJson: boolean,
): number {
  const rows = changesSince(tree, version, words)
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
