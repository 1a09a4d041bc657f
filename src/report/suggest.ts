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

/** A command, broken between its words as a shell allows. */
function commandLines(words: readonly string[], indent: string, width: number): string {
  const lines: string[] = []
  let line = indent
  for (const [i, word] of words.entries()) {
    const last = i === words.length - 1
    const room = width - (last ? 0 : 2)
    const first = line.trim() === ''
    if (!first && line.length + 1 + word.length > room) {
      lines.push(`${line} \\`)
      line = `${indent}  ${word}`
    } else line += first ? word : ` ${word}`
  }
  return [...lines, line].join('\n')
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
  const own = file.builtIn ? [] : [`--file ${shellWord(file.path)}`]
  const module = design.path === undefined ? [] : [`--design ${shellWord(design.path)}`]
  const token = tokenOf(cell, finding.schedule)
  const command = [`${program} replay`, ...own, ...module]
  const fits = indent.length + 2 + token.length <= width
  // A token may not be broken on a command line: what follows is quoted, and white space ignored.
  if (fits) return commandLines([...command, token], indent, width)
  return `${commandLines([...command, '- <<.'], indent, width)}\n${tokenLines(token, '', width)}\n.`
}
