/** Commands that a report suggests; each works as it stands. */
import type { CellResult } from '../app/results.js'
import { tokenOf } from '../app/story.js'
import type { Finding } from '../app/verdict.js'
import type { Command } from './format.js'
import { tokenLines } from './paint.js'

/** A word for a shell, quoted if it must be. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/**
 * The command that shows a finding again, with where the scenario and the design are if they are not
 * built in. What does not fit into one line is broken as a shell and a mail allow.
 */
export function replayLines(
  cell: CellResult,
  finding: Finding,
  { program }: Command,
  indent: string,
  width = 79,
): string {
  const { file, design } = cell
  const own = file.builtIn ? [] : ['--file', shellWord(file.path)]
  const module = design.path === undefined ? [] : ['--design', shellWord(design.path)]
  const line = [program, 'replay', ...own, ...module].join(' ')
  const token = tokenOf(cell, finding.schedule)
  const one = `${indent}${line} ${token}`
  if (one.length <= width) return one
  // A token may not be broken on a command line: what follows is quoted, and white space ignored.
  const room = width - indent.length - 3
  if (token.length <= room) return `${indent}${line} \\\n${indent}  ${token}`
  return `${indent}${line} - <<.\n${tokenLines(token, '', width)}\n.`
}
