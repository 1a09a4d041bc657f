/**
 * From what a reader saved to plain lines: an mbox or a single mail, its transfer encoding and
 * flowed format undone, quotes stripped to the depth at which the patch stands. Knows no C.
 */

/** One mail: its headers as far as they matter, and the lines of its text. */
export interface Mail {
  readonly subject: string
  readonly messageId: string | undefined
  readonly lines: readonly string[]
  /** How deep the patch was quoted. */
  readonly depth: number
}

/** Separate mails of an mbox; anything else is one mail. */
export function mailsOf(raw: string): Mail[] {
  const text = raw.replaceAll('\r\n', '\n')
  const parts = text.split(/^(?=From (?:[0-9a-f]{40}|\S+@\S+|mboxrd@z|MAILER-DAEMON)[ \t].*\n)/m)
  return parts.filter((p) => p.trim() !== '').map(mailOf)
}

function mailOf(raw: string): Mail {
  const text = raw.replace(/^From \S+ .*\n/, '')
  const { headers, body } = split(text)
  const decoded = decode(body, headers)
  const lines = flowed(decoded.split('\n'), headers)
  const { depth, lines: plain } = unquoted(lines)
  return {
    subject: headers.subject ?? decoded.split('\n').find((l) => l.trim() !== '') ?? '',
    messageId: /<([^>]+)>/.exec(headers['message-id'] ?? '')?.[1],
    lines: plain,
    depth,
  }
}

/** Headers, folded ones joined, in lower case; none if the text does not begin with some. */
function split(text: string): { headers: Readonly<Record<string, string>>; body: string } {
  if (!/^[A-Za-z][\w-]*:[ \t]/.test(text)) return { headers: {}, body: text }
  const end = text.search(/\n[ \t]*\n/)
  const head = end < 0 ? text : text.slice(0, end)
  const headers: Record<string, string> = {}
  for (const line of head.replace(/\n[ \t]+/g, ' ').split('\n')) {
    const [, name, value] = /^([A-Za-z][\w-]*):[ \t]*(.*)$/.exec(line) ?? []
    if (name !== undefined && value !== undefined) headers[name.toLowerCase()] ??= value
  }
  // Some archives print headers and text without a blank line between them: keep everything.
  return { headers, body: end < 0 ? text : text.slice(end).replace(/^\n[ \t]*\n/, '') }
}

function decode(body: string, headers: Readonly<Record<string, string>>): string {
  const encoding = (headers['content-transfer-encoding'] ?? '').toLowerCase()
  if (encoding === 'base64') return bytesAsText(base64(body))
  const quoted = encoding === 'quoted-printable' || (encoding === '' && /=3D|=\n/.test(body))
  if (!quoted) return body
  const bytes: number[] = []
  const joined = body.replace(/=[ \t]*\n/g, '')
  for (let i = 0; i < joined.length; i++) {
    const hex =
      joined[i] === '=' ? /^[0-9A-Fa-f]{2}/.exec(joined.slice(i + 1, i + 3))?.[0] : undefined
    if (hex === undefined) {
      for (const b of new TextEncoder().encode(joined[i] as string)) bytes.push(b)
    } else {
      bytes.push(Number.parseInt(hex, 16))
      i += 2
    }
  }
  return bytesAsText(Uint8Array.from(bytes))
}

function base64(text: string): Uint8Array {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  const bytes: number[] = []
  let [bits, value] = [0, 0]
  for (const c of text) {
    const n = letters.indexOf(c)
    if (n < 0) continue
    value = (value << 6) | n
    bits += 6
    if (bits < 8) continue
    bits -= 8
    bytes.push((value >> bits) & 255)
  }
  return Uint8Array.from(bytes)
}

function bytesAsText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

/** format=flowed: a line that ends in a blank goes on in the next; a leading blank was stuffed. */
function flowed(lines: readonly string[], headers: Readonly<Record<string, string>>): string[] {
  if (!/format="?flowed/i.test(headers['content-type'] ?? '')) return [...lines]
  const deleted = /delsp="?yes/i.test(headers['content-type'] ?? '')
  const out: string[] = []
  let open = false
  for (const line of lines) {
    const [, quote = '', rest = ''] = /^(>*)(.*)$/.exec(line) ?? []
    const text = rest.startsWith(' ') ? rest.slice(1) : rest
    const soft = text.endsWith(' ') && text.trim() !== '' && text !== '-- '
    const piece = soft && deleted ? text.slice(0, -1) : text
    if (open && quote === (/^>*/.exec(out.at(-1) ?? '')?.[0] ?? '')) out[out.length - 1] += piece
    else out.push(quote + (quote === '' ? '' : ' ') + piece)
    open = soft
  }
  return out
}

const START = /^((?:>[ \t]?)*)(?:diff --git |--- (?:a\/)?\S+\/\S+|@@ -\d)/

/** The lines at the depth at which the patch begins; deeper quotes are text of the patch. */
function unquoted(lines: readonly string[]): { depth: number; lines: string[] } {
  const first = lines.find((l) => START.test(l))
  const depth = (START.exec(first ?? '')?.[1]?.match(/>/g) ?? []).length
  if (depth === 0) return { depth, lines: [...lines] }
  const strip = new RegExp(`^(?:[ \\t]?>){${depth}} ?`)
  return { depth, lines: lines.filter((l) => strip.test(l)).map((l) => l.replace(strip, '')) }
}
