/** A scenario as a mail quotes it: in lines of a width, and still a scenario when it is copied. */
import { LETTER_WIDTH, wrap } from './paint.js'

/** Before each line of the quotation, and before what is left of a statement. */
const QUOTE = '  '
const DEEPER = '    '

/** What stands before a comment, and the comment; a `#` in quotes begins none. */
function parts(line: string): { code: string; comment: string } {
  const code = /^(?:[^"#]|"[^"]*")*/.exec(line)?.[0] ?? ''
  return { code: code.trimEnd(), comment: line.slice(code.length).replace(/^#\s*/, '') }
}

/** The text of a scenario, indented, its long lines broken where the language allows it. */
export function quoted(text: string, width: number = LETTER_WIDTH): string {
  return text
    .trimEnd()
    .split('\n')
    .flatMap((line) => folded(line.trimEnd(), width - QUOTE.length))
    .map((line) => `${QUOTE}${line}`.trimEnd())
    .join('\n')
}

function folded(line: string, width: number): string[] {
  if (line.length <= width) return [line]
  const indent = /^ */.exec(line)?.[0] ?? ''
  const { code, comment } = parts(line)
  const above = comment === '' ? [] : wrap(comment, width, `${indent}# `).split('\n')
  return code === '' ? above : [...above, ...foldedCode(code, indent, width)]
}

/** Words that stay together, and whether they begin inside a quoted text, or end in one. */
interface Piece {
  text: string
  readonly within: boolean
  open: boolean
}

/** A statement may be broken behind a comma, `|`, `and` and `or`, and a text between its words. */
function piecesOf(code: string): readonly Piece[] {
  const pieces: Piece[] = []
  let within = false
  for (const word of code.match(/ *[^ ]+/g) ?? []) {
    const last = pieces.at(-1)
    const odd = word.split('"').length % 2 === 0
    const open: boolean = odd ? !within : within
    if (last !== undefined && !within && !/(?:,|\||\band|\bor)$/.test(last.text)) {
      last.text += word
      last.open = open
    } else pieces.push({ text: word, within, open })
    within = open
  }
  return pieces
}

function foldedCode(code: string, indent: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const { text, within, open } of piecesOf(code)) {
    // A text that is broken ends with a blank and a quotation mark.
    const room = width - (open ? 2 : 0)
    if (line !== '' && line.length + text.length > room) {
      lines.push(within ? `${line} "` : line)
      line = `${indent}${DEEPER}${within ? '"' : ''}${text.trimStart()}`
    } else line += text
  }
  return [...lines, line]
}
