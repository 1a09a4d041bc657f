/**
 * `restrictedmem fidelity --linux TREE`: the functions of a kernel tree, translated, in the place of
 * the model's. Per function: equal, or the first difference, or why it could not be compared.
 */
import { UserError } from '../app/error.js'
import { DESIGNS } from '../designs/index.js'
import { type Asked, compareTree, type FidelityRow, KERNELS } from '../patch/host/compare.js'
import { dictionary } from '../patch/host/dictionary.js'
import { startCParser } from '../patch/host/grammar.js'
import { checkTree, modelledFiles } from '../patch/host/tree.js'
import { changedSince } from './changed-since.js'
import { EXIT } from './exit.js'

export interface FidelityFlags extends Asked {
  readonly linux: string
  /** Designs whose bodies are compared; the kernels of both versions if none is named. */
  readonly design: readonly string[]
  /** Compare with the hashes of this version, or of the cited ones; nothing runs. */
  readonly changedSince?: string
  readonly json?: boolean
}

export async function fidelityTree(flags: FidelityFlags): Promise<number> {
  checkTree(flags.linux)
  const names = flags.design.length > 0 ? flags.design : KERNELS
  const designs = names.map((n) => {
    const found = DESIGNS.find((d) => d.id === n)
    if (found === undefined) throw new UserError(`there is no design "${n}".`)
    return found
  })
  await startCParser()
  const words = dictionary()
  if (flags.changedSince !== undefined) {
    return changedSince(flags.linux, flags.changedSince, words, flags.json === true)
  }
  const files = modelledFiles(flags.linux, words)
  const rows: FidelityRow[] = []
  for (const design of designs) rows.push(...(await compareTree(files, design, words, flags)))
  if (rows.length === 0) {
    const what = flags.function.length > 0 ? flags.function.join(', ') : 'a function of the model'
    throw new UserError(`${flags.linux}: ${what} is not defined in this tree, or not modelled.`)
  }
  process.stdout.write(flags.json ? `${JSON.stringify(rows, undefined, 1)}\n` : `${told(rows)}\n`)
  return rows.some((r) => r.result === 'differs') ? EXIT.DIFFERS : EXIT.OK
}

/** The rows of a run, for a terminal. */
function told(rows: readonly FidelityRow[]): string {
  const lines: string[] = []
  for (const design of new Set(rows.map((r) => r.design))) {
    const mine = rows.filter((r) => r.design === design)
    const reused = mine.filter((r) => r.reused === true).length
    const earlier = reused > 0 ? `; ${reused} results are of an earlier run` : ''
    lines.push(`${design}: ${mine.length} functions of the model are in this tree${earlier}`)
    for (const result of ['differs', 'equal', 'not reached', 'not translated'] as const) {
      const some = mine.filter((r) => r.result === result)
      if (some.length > 0) lines.push('', `  ${result}: ${some.length}`)
      for (const r of some) {
        const count = r.cells > 0 ? ` (${r.cells} cells, ${r.states} final states)` : ''
        lines.push(`    ${r.c}, ${r.file}${count}`)
        if (r.detail !== '') lines.push(`      ${r.detail}`)
      }
    }
    lines.push('')
  }
  return lines.join('\n').trimEnd()
}
