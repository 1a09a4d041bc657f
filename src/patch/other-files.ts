/** Files of a patch that are no C of this kernel: which of them can change what it does. */
import type { FilePatch, Patch } from './mail/patch.js'

export interface OtherFile {
  readonly path: string
  readonly reason: string
  readonly concerns: 'nothing' | 'everything'
}

const TEXT = /^(?:Documentation|LICENSES|samples|scripts|tools)\/|\.(?:rst|txt|md|gitignore)$/
const NAMES = /^(?:MAINTAINERS|CREDITS|\.mailmap|README)$/

export function otherFiles(
  patches: readonly Patch[],
  isOurs: (file: FilePatch) => boolean,
): OtherFile[] {
  const files = patches.flatMap((p) => p.files)
  const made = new Set(files.filter((f) => f.old === undefined).map((f) => f.path))
  return files.filter((f) => !isOurs(f)).map((f) => ({ path: f.path, ...what(f, made) }))
}

function what(file: FilePatch, made: ReadonlySet<string>): Omit<OtherFile, 'path'> {
  const { path } = file
  const nothing = (reason: string): Omit<OtherFile, 'path'> => ({ reason, concerns: 'nothing' })
  if (TEXT.test(path) || NAMES.test(path)) return nothing('no code of the kernel')
  if (/^arch\/(?!x86\/)/.test(path)) return nothing('of another architecture')
  const lines = file.hunks.flatMap((h) => h.lines.filter((l) => l.op !== ' '))
  if (/(?:^|\/)Kconfig/.test(path) && lines.length > 0 && isNewOption(lines)) {
    return nothing('an option that is new, and who uses it says so')
  }
  if (/(?:^|\/)(?:Makefile|Kbuild)$/.test(path) && buildsOnly(lines, path, made)) {
    return nothing('builds what the patch brings')
  }
  const onlyNew = lines.every((l) => l.op === '+')
  if (path.endsWith('.tbl') && onlyNew) return nothing('numbers of calls that are new')
  return {
    reason: 'the build, or code that is no C: it may change anything',
    concerns: 'everything',
  }
}

type Lines = readonly { readonly op: string; readonly text: string }[]

/** Every new line belongs to an option that begins among them. */
function isNewOption(lines: Lines): boolean {
  const text = lines.map((l) => l.text.trim()).filter((t) => t !== '')
  return lines.every((l) => l.op === '+') && /^(?:menu)?config \w/.test(text[0] ?? '')
}

function buildsOnly(lines: Lines, path: string, made: ReadonlySet<string>): boolean {
  const folder = path.slice(0, path.lastIndexOf('/') + 1)
  return lines.every(({ op, text }) => {
    const objects = /^obj-\S+\s*\+?=((?:\s+[\w-]+\.o)+)$/.exec(text.trim())?.[1]
    const names = objects?.trim().split(/\s+/) ?? []
    return (
      op === '+' && names.length > 0 && names.every((o) => made.has(folder + o.replace(/o$/, 'c')))
    )
  })
}
