/** Colours as a parameter: reports are plain text unless somebody passes a painter. */
export interface Paint {
  good(text: string): string
  bad(text: string): string
  dim(text: string): string
  bold(text: string): string
}

const same = (text: string): string => text

export const PLAIN: Paint = { good: same, bad: same, dim: same, bold: same }

/** What a text is written on. */
export interface Page {
  readonly paint: Paint
  /** Columns that a line may have. */
  readonly width: number
}

/** Columns of a letter: they survive being quoted twice. */
export const LETTER_WIDTH = 72

export const PLAIN_PAGE: Page = { paint: PLAIN, width: 79 }

/** Pad before painting: colour codes have no width on the screen. */
export function cell(text: string, width: number, paint: (text: string) => string = same): string {
  const cut = text.length > width ? `${text.slice(0, width - 1)}~` : text
  return paint(cut) + ' '.repeat(width - cut.length)
}

/** Break text into lines of at most `width`, each after `indent`. */
export function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  if (line !== '') lines.push(indent + line)
  return lines.join('\n')
}

/** Break a token into lines that survive a mail. */
export function tokenLines(token: string, indent: string, width = 78): string {
  const size = width - indent.length
  const lines: string[] = []
  for (let i = 0; i < token.length; i += size) lines.push(indent + token.slice(i, i + size))
  return lines.join('\n')
}
