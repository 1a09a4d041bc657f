/** Whatever a mail has gone through, the patch in it makes the same design. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { before, test } from 'node:test'
import { upm } from '../../src/designs/upm.js'
import { changesOf } from '../../src/patch/changes.js'
import { scopeOf } from '../../src/patch/facts.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { startCParser } from '../../src/patch/host/grammar.js'
import { patchesOf } from '../../src/patch/mail/patch.js'
import { mergeEdit } from '../../src/patch/merge/merge.js'
import { draft, plan } from '../../src/patch/plan.js'
import { moduleText } from '../../src/patch/translate/module.js'

const OWN = join(resolve(import.meta.dirname, '../../..'), 'test/patch/own/restrictedmem.c')
const FILE = readFileSync(OWN, 'utf8')

before(startCParser)

/** One hunk for each edit, with three lines around it; all edits keep the number of lines or add. */
function hunks(edits: readonly (readonly [from: string, to: string])[]): string {
  const lines = FILE.split('\n')
  let shift = 0
  return edits
    .map(([from, to]) => {
      const at = lines.indexOf(from)
      assert.ok(at > 0 && lines.lastIndexOf(from) === at, from)
      const [head, tail] = [lines.slice(at - 3, at), lines.slice(at + 1, at + 4)]
      const come = to.split('\n')
      const body = [
        ...head.map((l) => ` ${l}`),
        `-${from}`,
        ...come.map((l) => `+${l}`),
        ...tail.map((l) => ` ${l}`),
      ]
      const text = `@@ -${at - 2},7 +${at - 2 + shift},${6 + come.length} @@\n${body.join('\n')}\n`
      shift += come.length - 1
      return text
    })
    .join('')
}

const DIFF = `--- a/mm/restrictedmem.c
+++ b/mm/restrictedmem.c
${hunks([
  ['\tfput(inner);', '\tif (inner)\n\t\tfput(inner);'],
  ['\tsynchronize_rcu();', '\tsynchronize_rcu();\n\tif (start == end)\n\t\tcond_resched();'],
])}`

const mail = (body: string, headers = ''): string =>
  `From: A Developer <dev@example.org>\nSubject: [PATCH] mm: a file may be gone\n${headers}\n${body}`

function quotedPrintable(text: string): string {
  const coded = text.replaceAll('=', '=3D').replaceAll('\t', '=09')
  return coded.replace(/.{60}(?=.)/g, (l) => (/=.?$/.test(l) ? l : `${l}=\n`))
}

/** As a reader with format=flowed sends it: what begins with a blank gets one more. */
const flowed = (text: string): string => text.replace(/^(?=[ >]|From )/gm, ' ')

function design(text: string): string {
  const scope = scopeOf(upm, dictionary())
  const changes = changesOf(patchesOf(text), () => FILE, false)
  assert.deepEqual(
    changes.files.flatMap((f) => f.misfits),
    [],
  )
  const made = draft(changes, scope)
  const { entries, pieces } = plan(made, {
    calibrated: () => 'alone',
    checks: made.checks,
    assumed: new Map(),
    broken: new Map(),
    merge: mergeEdit,
  })
  assert.deepEqual(
    entries.map((e) => `${e.name}: ${e.how}`),
    ['restrictedmem_release: translated', 'restrictedmem_unbind: translated'],
  )
  return moduleText(pieces, scope, '')
}

const MANGLED: readonly (readonly [what: string, text: () => string])[] = [
  ['quoted four deep', () => mail(`Yes.\n\n${DIFF.replace(/^/gm, '> > > > ')}`)],
  ['eight blanks for a tab', () => mail(DIFF.replaceAll('\t', '        '))],
  ['without the first blank of its lines', () => mail(DIFF.replace(/^ /gm, ''))],
  [
    'quoted-printable',
    () => mail(quotedPrintable(DIFF), 'Content-Transfer-Encoding: quoted-printable\n'),
  ],
  ['flowed', () => mail(flowed(DIFF), 'Content-Type: text/plain; format=flowed\n')],
]

test('mangled mails make the design of the clean one', () => {
  const clean = design(mail(DIFF))
  for (const [what, text] of MANGLED) assert.equal(design(text()), clean, what)
})
