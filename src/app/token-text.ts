/** How a token is written, and how it is found in a mail. What it says is read in `token.ts`. */

export const VERSION = 'rm2'
export const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Digits at the end of a token that catch damage. */
export const CHECK_DIGITS = 3

/** Version, scenario, design (in whose name may be dots), hash, schedule, check digits. */
export const FORM = new RegExp(
  `^${VERSION}\\.([^.]+)\\.(.+)\\.([\\w-]{6})\\.([\\w-]*)([\\w-]{${CHECK_DIGITS}})$`,
)

/** How a token of any version begins. */
const BEGINNING = /rm\d+\./g

/** Does a text begin as a token does, of whatever version? */
export function beginsToken(text: string): boolean {
  return text.search(BEGINNING) === 0
}

/** FNV-1a over the characters of a text, as an unsigned 32-bit number. */
export function hash32(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h >>> 0
}

/** The low `digits` base64 digits of a number. */
export function inDigits(number: number, digits: number): string {
  let text = ''
  for (let i = 0; i < digits; i++) text += DIGITS[Math.floor(number / 64 ** i) % 64]
  return text
}

/** Do the check digits fit? */
export function isWhole(token: string): boolean {
  const body = token.slice(0, -CHECK_DIGITS)
  return FORM.test(token) && body + inDigits(hash32(body), CHECK_DIGITS) === token
}

/** Pieces that a token may have been broken into. */
const MOST_PIECES = 200

/**
 * The token in a text as it came: quoted, broken, with words before it and behind. If none there is
 * whole, all that may belong to the first one, for whoever says what is wrong with it.
 */
export function tokenIn(text: string): string {
  const plain = text.replace(/^[>\s]+/gm, '')
  for (const { index } of plain.matchAll(BEGINNING)) {
    const pieces = plain.slice(index).split(/\s+/, MOST_PIECES)
    // The longest first: a part of a token is no token, though it may look like one.
    for (let n = pieces.length; n > 0; n--) {
      const token = pieces.slice(0, n).join('')
      if (isWhole(token)) return token
    }
  }
  const clean = plain.replace(/\s+/g, '')
  const at = clean.search(BEGINNING)
  return at < 0 ? clean : clean.slice(at).replace(/&.*$/, '')
}
