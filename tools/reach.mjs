/** Which sources decide what a source does: what it imports, at once, later or for a type, and so on. */
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import ts from 'typescript'

/** All that some sources lead to, and they themselves; names are below `root`, with slashes. */
export function reach(root, starts) {
  const seen = new Set(starts)
  for (const name of seen) {
    const { importedFiles } = ts.preProcessFile(readFileSync(`${root}/${name}`, 'utf8'), true, true)
    for (const { fileName } of importedFiles.filter((f) => f.fileName.startsWith('.'))) {
      seen.add(posix.join(posix.dirname(name), fileName).replace(/\.js$/, '.ts'))
    }
  }
  return seen
}
