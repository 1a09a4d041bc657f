/**
 * A mail's patch: files, hunks, lines. Damage of the way is repaired as far as the counts in the
 * hunk headers say how: lost first columns, wrapped headers, blank lines that went missing.
 */
import { type Mail, mailsOf } from './decode.js'

export type LineOp = ' ' | '+' | '-'

export interface HunkLine {
  readonly op: LineOp
  readonly text: string
}

export interface Hunk {
  readonly oldStart: number
  readonly newStart: number
  /** What stands behind the second @@: the function, mostly. */
  readonly around: string
  readonly lines: readonly HunkLine[]
}

export interface FilePatch {
  /** Path before and after; undefined for a file that is made or removed. */
  readonly old: string | undefined
  readonly path: string
  /** Abbreviated blobs of the index line. */
  readonly blobs: readonly [string, string] | undefined
  readonly hunks: readonly Hunk[]
}

export interface Patch {
  readonly subject: string
  readonly messageId: string | undefined
  readonly files: readonly FilePatch[]
  /** What had to be repaired. */
  readonly notes: readonly string[]
}

/** Something that is not a patch that can be read; the message is for the user. */
export class PatchError extends Error {}

/** The patches of a mail or mbox, in order of the series. @throws PatchError */
export function patchesOf(raw: string): Patch[] {
  if (/\0/.test(raw.slice(0, 4096))) throw new PatchError('this is no mail: it has binary data')
  const mails = mailsOf(raw)
  const patches = mails.map(patchOf).filter((p) => p.files.length > 0)
  if (patches.length === 0) {
    const what = mails.some((m) => m.lines.some((l) => /^[+-]/.test(l)))
      ? 'no whole hunk'
      : 'no patch'
    throw new PatchError(`there is ${what} in this mail: no "--- a/file" with "@@" lines behind it`)
  }
  return inOrder(patches)
}

/** [PATCH n/m] in the subjects decides; the order of the mbox otherwise. */
function inOrder(patches: Patch[]): Patch[] {
  const number = (p: Patch): number =>
    Number(/\[[^\]]*?(\d+)\/\d+\]/.exec(p.subject)?.[1] ?? Number.NaN)
  if (patches.some((p) => Number.isNaN(number(p)))) return patches
  return [...patches].sort((a, b) => number(a) - number(b))
}

function patchOf(mail: Mail): Patch {
  const reader = new Reader(mail.lines)
  const files = reader.files()
  const notes = [
    ...(mail.depth > 0 ? [`the patch was quoted ${times(mail.depth)}`] : []),
    ...(reader.lostColumns > 0 ? [`${reader.lostColumns} lines had lost their first column`] : []),
    ...(reader.wrapped > 0 ? [`${reader.wrapped} wrapped lines joined`] : []),
  ]
  const { subject, messageId } = mail
  return { subject: subject.replace(/\s+/g, ' ').trim(), messageId, files, notes }
}

function times(n: number): string {
  return n === 1 ? 'once' : `${n} deep`
}

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/

class Reader {
  readonly #lines: readonly string[]
  #at = 0
  lostColumns = 0
  wrapped = 0

  constructor(lines: readonly string[]) {
    this.#lines = lines
  }

  files(): FilePatch[] {
    const found: {
      old: string | undefined
      path: string
      blobs: FilePatch['blobs']
      hunks: Hunk[]
    }[] = []
    let blobs: readonly [string, string] | undefined
    while (this.#at < this.#lines.length) {
      const line = this.#lines[this.#at++] as string
      const index = /^index ([0-9a-f]{6,})\.\.([0-9a-f]{6,})/.exec(line)
      if (index?.[1] !== undefined && index[2] !== undefined) blobs = [index[1], index[2]]
      const next = this.#lines[this.#at] ?? ''
      const old = /^--- (\S+)/.exec(line)?.[1]
      const now = /^\+\+\+ (\S+)/.exec(next)?.[1]
      if (old !== undefined && now !== undefined) {
        this.#at++
        const path = inTree(now) ?? inTree(old)
        if (path !== undefined) found.push({ old: inTree(old), path, blobs, hunks: [] })
        blobs = undefined
        continue
      }
      if (HUNK.test(line)) found.at(-1)?.hunks.push(this.#hunk(line))
    }
    return found.filter((f) => f.hunks.length > 0)
  }

  /** As many lines as the header says, whatever happened to their first columns. */
  #hunk(header: string): Hunk {
    const m = HUNK.exec(header) as RegExpExecArray
    let old = Number(m[2] ?? 1)
    let now = Number(m[4] ?? 1)
    let around = m[5] ?? ''
    const lines: HunkLine[] = []
    while ((old > 0 || now > 0) && this.#at < this.#lines.length) {
      const line = this.#lines[this.#at] as string
      if (/^(?:diff --git |@@ -\d)/.test(line) || (/^-- ?$/.test(line) && old <= 0)) break
      this.#at++
      const op = line[0]
      if (op === '\\') continue
      if (op === '+' && now > 0) {
        lines.push({ op, text: line.slice(1) })
        now--
      } else if (op === '-' && old > 0) {
        lines.push({ op, text: line.slice(1) })
        old--
      } else if (lines.length === 0 && isWrapped(around, line)) {
        around += line
        this.wrapped++
      } else {
        if (op !== ' ' && op !== undefined) this.lostColumns++
        lines.push({ op: ' ', text: op === ' ' ? line.slice(1) : line })
        old--
        now--
      }
    }
    return { oldStart: Number(m[1]), newStart: Number(m[3]), around, lines }
  }
}

/** The rest of a header that a mail reader has broken: it closes a parenthesis that is open. */
function isWrapped(around: string, line: string): boolean {
  const open = (around.match(/\(/g) ?? []).length - (around.match(/\)/g) ?? []).length
  return open > 0 && /^\S/.test(line) && line.length < 40 && !/[;{]\s*$/.test(line)
}

/** `a/mm/shmem.c` → `mm/shmem.c`; a path that leaves the tree is none. */
function inTree(name: string): string | undefined {
  if (name === '/dev/null') return undefined
  const path = name.replace(/^[ab]\//, '')
  return path.startsWith('/') || path.split('/').includes('..') ? undefined : path
}
