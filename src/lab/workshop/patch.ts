/**
 * From a mail to the design that its patch makes, by the hunks alone: a page has no tree. Nothing is
 * calibrated here, so no function is translated whole: an edit is merged into the model's function,
 * or whoever reaches the function meets a trap.
 */
import { UserError } from '../../app/error.js'
import type { Design } from '../../designs/design.js'
import { gmem618 } from '../../designs/gmem.js'
import { DESIGNS } from '../../designs/index.js'
import { upm } from '../../designs/upm.js'
import { SEES_THE_BUILD } from '../../lower/project.js'
import { startParser } from '../../patch/c/parse.js'
import { ChangeError, type Changes, changesOf } from '../../patch/changes.js'
import { judgeable } from '../../patch/direction.js'
import { scopeOf } from '../../patch/facts.js'
import { PatchError, patchesOf } from '../../patch/mail/patch.js'
import { mergeEdit } from '../../patch/merge/merge.js'
import { type Dictionary, readDictionary } from '../../patch/model/dictionary.js'
import type { Scope } from '../../patch/model/scope.js'
import { draft, type Entry, type Plan, plan } from '../../patch/plan.js'
import { designId, designText, ownerOf } from '../../patch/translate/module.js'
import type { FromPatch, Mistake } from '../protocol.js'

/** What a patch is read with; bytes as base64. */
export interface PatchParts {
  readonly dictionary: string
  /** The C parser's core, and its grammar, as WebAssembly. */
  readonly core: string
  readonly grammar: string
}

/** Says what is wrong with a design's text. */
type Check = (text: string) => readonly Mistake[]

/** So often a function that does not compile is given up, one or several at a time. */
const MOST_TRIES = 8

/** Of designs that are equally near to a patch the first is taken: the newest kernel's. */
const IN_ORDER: readonly Design[] = [
  gmem618,
  upm,
  ...DESIGNS.filter((d) => d !== gmem618 && d !== upm),
]

const bytesOf = (base: string): Uint8Array => Uint8Array.from(atob(base), (c) => c.charCodeAt(0))

/** @throws UserError for a text that is no patch, or of nothing that the model has. */
export async function designOf(mail: string, parts: PatchParts, check: Check): Promise<FromPatch> {
  await startParser(bytesOf(parts.grammar), bytesOf(parts.core))
  const { changes, notes, subject } = read(mail)
  const words = readDictionary(parts.dictionary)
  const none = new Map<string, string>()
  const made = IN_ORDER.map((design) => planFor(design, words, changes, none))
  const best = made.reduce((a, b) => (judgeable(b.plan) > judgeable(a.plan) ? b : a))
  if (judgeable(best.plan) === 0) {
    const paths = changes.files.map((f) => f.path).slice(0, 4)
    throw new UserError(`nothing of the patch can be made a design here: ${paths.join(', ')}`)
  }
  const { text, entries, nothing } = compiled(best, words, changes, subject, check)
  return {
    text,
    base: best.design.id,
    notes: [...notes, ...changes.notes],
    entries: entries.map(toldOf),
    nothing,
  }
}

function read(mail: string): { changes: Changes; notes: readonly string[]; subject: string } {
  try {
    const patches = patchesOf(mail)
    const notes = patches.flatMap((p) => p.notes)
    return {
      changes: changesOf(patches, undefined, false),
      notes,
      subject: patches[0]?.subject ?? '',
    }
  } catch (error) {
    const told = error instanceof PatchError || error instanceof ChangeError
    throw told ? new UserError(error.message) : error
  }
}

interface Made {
  readonly design: Design
  readonly scope: Scope
  readonly plan: Plan
}

function planFor(
  design: Design,
  words: Dictionary,
  changes: Changes,
  broken: ReadonlyMap<string, string>,
): Made {
  const scope = scopeOf(design, words)
  const from = draft(changes, scope)
  const options = {
    calibrated: () => undefined,
    checks: from.checks,
    assumed: new Map<string, readonly string[]>(),
    broken,
    merge: mergeEdit,
    prefer: 'merged',
  } as const
  return { design, scope, plan: plan(from, options) }
}

/** What the compiler refuses is planned again without it. */
function compiled(
  first: Made,
  words: Dictionary,
  changes: Changes,
  subject: string,
  check: Check,
): Plan & { readonly text: string } {
  const broken = new Map<string, string>()
  const about = { id: designId(subject), summary: subject }
  let made = first
  for (let tries = 0; ; tries++) {
    const text = SEES_THE_BUILD + designText(made.plan.pieces, made.scope, about)
    const before = broken.size
    for (const { line, message } of tries < MOST_TRIES ? check(text) : []) {
      const owner = ownerOf(text, line)
      if (owner !== undefined) broken.set(owner, message.split('\n')[0] ?? '')
    }
    if (broken.size === before) return { ...made.plan, text }
    made = planFor(first.design, words, changes, broken)
  }
}

function toldOf({ name, how, holes }: Entry): FromPatch['entries'][number] {
  const reasons = [...new Set(holes.map((h) => h.reason))]
  return { name, how, reasons }
}
