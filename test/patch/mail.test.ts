import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applyPatch } from '../../src/patch/mail/apply.js'
import { PatchError, patchesOf } from '../../src/patch/mail/patch.js'

/** A file of ours, and a patch of it as git would send it. */
const FILE = `int slot_pin(struct slot *s)
{
	if (!s->file)
		return -EINVAL;

	s->pins++;
	return 0;
}

int slot_unpin(struct slot *s)
{
	s->pins--;
	return 0;
}
`

const HUNK = `--- a/mm/slot.c
+++ b/mm/slot.c
@@ -2,8 +2,9 @@ int slot_pin(struct slot *s)
 {
 	if (!s->file)
 		return -EINVAL;
 
+	get_file(s->file);
 	s->pins++;
 	return 0;
 }
 
`

const CLEAN = `From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001
From: A Developer <dev@example.org>
Subject: [PATCH] mm: a pinned slot holds its file
Message-Id: <20260101000000.1@example.org>

A sentence.
---
 mm/slot.c | 1 +

diff --git a/mm/slot.c b/mm/slot.c
index 1111111aaaaa..2222222bbbbb 100644
${HUNK}-- 
2.50.0
`

const PATCHED = FILE.replace('\ts->pins++', '\tget_file(s->file);\n\ts->pins++')

/** The file after the only patch of a mail; white space made one blank. */
function after(mail: string): string {
  const [patch, ...more] = patchesOf(mail)
  assert.ok(patch !== undefined && more.length === 0)
  const { text, misfits } = applyPatch(FILE, patch.files[0]!)
  assert.deepEqual(misfits, [])
  return text.replace(/[ \t]+/g, ' ')
}

const WANTED = PATCHED.replace(/[ \t]+/g, ' ')

test('a patch of git format-patch', () => {
  const [patch] = patchesOf(CLEAN)
  assert.equal(patch?.subject, '[PATCH] mm: a pinned slot holds its file')
  assert.equal(patch?.messageId, '20260101000000.1@example.org')
  assert.deepEqual(patch?.files[0]?.blobs, ['1111111aaaaa', '2222222bbbbb'])
  assert.equal(after(CLEAN), WANTED)
})

test('quoted four deep, below an answer', () => {
  const quoted = `Subject: Re: a pinned slot\n\nLooks good.\n\n${HUNK.split('\n')
    .map((l) => `> > > > ${l}`)
    .join('\n')}\n> > Thanks.\n`
  assert.equal(after(quoted), WANTED)
  assert.deepEqual(patchesOf(quoted)[0]?.notes, ['the patch was quoted 4 deep'])
})

test('eight blanks for a tab, and first columns that an archive has eaten', () => {
  assert.equal(after(CLEAN.replaceAll('\t', '        ')), WANTED)
  const eaten = CLEAN.replace(/^ (\S|\t)/gm, (_all, c: string) => c.trimStart())
  assert.equal(after(eaten), WANTED)
})

test('quoted-printable, with soft breaks', () => {
  const encoded = HUNK.replaceAll('=', '=3D').replace('s->pins++', 's->pi=\nns++')
  const mail = `Subject: x\nContent-Transfer-Encoding: quoted-printable\n\n${encoded}`
  assert.equal(after(mail), WANTED)
})

test('base64', () => {
  const encoded = Buffer.from(HUNK).toString('base64').replace(/.{60}/g, '$&\n')
  assert.equal(after(`Subject: x\nContent-Transfer-Encoding: base64\n\n${encoded}\n`), WANTED)
})

test('format=flowed: stuffed blanks go, broken lines are joined', () => {
  const flowed = HUNK.split('\n')
    .map((l) => (/^[ >]|^From /.test(l) ? ` ${l}` : l))
    .join('\n')
    .replace('get_file(s->file);', 'get_file( \ns->file);')
  const mail = `Subject: x\nContent-Type: text/plain; format=flowed\n\n${flowed}`
  assert.equal(after(mail).replace('( s', '(s'), WANTED)
})

test('an mbox is a series, in the order of its numbers', () => {
  const mail = (n: number): string =>
    `From dev@example.org Mon Jan  1 00:00:00 2026\nSubject: [PATCH v2 ${n}/2] part ${n}\n\n${HUNK}\n`
  const subjects = patchesOf(mail(2) + mail(1)).map((p) => p.subject)
  assert.deepEqual(subjects, ['[PATCH v2 1/2] part 1', '[PATCH v2 2/2] part 2'])
})

test('in reverse it takes the patch back', () => {
  const [patch] = patchesOf(CLEAN)
  const { text, misfits } = applyPatch(PATCHED, patch!.files[0]!, true)
  assert.deepEqual(misfits, [])
  assert.equal(text, FILE)
})

test('a hunk that fits two places equally well, or none, is refused', () => {
  const [patch] = patchesOf(CLEAN)
  const twice = applyPatch(`${FILE}\n\n\n${FILE}`, {
    ...patch!.files[0]!,
    hunks: [{ ...patch!.files[0]!.hunks[0]!, oldStart: 11 }],
  })
  assert.equal(twice.misfits[0]?.why, 'it fits in two places')
  const none = applyPatch('int other;\n', patch!.files[0]!)
  assert.equal(none.misfits[0]?.why, 'its lines are not in the file')
})

test('no mail, no patch, and noise have one message each', () => {
  for (const bad of [
    'Hello.\n',
    '',
    '\0\0\0\0',
    'x'.repeat(1 << 20),
    '+ a plus\n- and a minus\n',
  ]) {
    assert.throws(() => patchesOf(bad), PatchError)
  }
})

test('a path that leaves the tree is no path', () => {
  assert.throws(() => patchesOf(CLEAN.replaceAll('mm/slot.c', '../../etc/slot.c')), PatchError)
})
