/** What is no patch, or none for this tree: one message, and nothing is judged. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { UserError } from '../../src/app/error.js'
import { reviewMail } from '../../src/patch/host/review.js'

const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-'))
after(() => rmSync(folder, { recursive: true }))

const TREE = join(folder, 'linux')
const TWICE = `void first(void)
{
	down_write(&lock);
	work();
}

void filler(void)
{
	down_write(&lock);
	work();
}
`
mkdirSync(join(TREE, 'mm'), { recursive: true })
writeFileSync(join(TREE, 'mm/twice.c'), TWICE)
mkdirSync(join(folder, 'empty'))

const patch = (path: string, hunk: string): string =>
  `Subject: [PATCH] be quick\n\n--- a/${path}\n+++ b/${path}\n${hunk}`
const RETURN = '@@ -1,4 +1,4 @@\n int f(void)\n {\n-\treturn 1;\n+\treturn 0;\n }\n'
const TWO = '@@ -6,2 +6,3 @@\n \tdown_write(&lock);\n+\tcond_resched();\n \twork();\n'

/** Text and binary noise of 1 MiB. */
const noise = randomBytes(1 << 20)
const letters = noise.toString('base64').replace(/(.{76})/g, '$1\n')

const CASES: readonly {
  readonly what: string
  readonly mail: string | Buffer
  readonly tree?: string | undefined
  readonly says: RegExp
}[] = [
  { what: 'a letter', mail: 'Dear all,\n\nlunch?\n', says: /there is no patch in this mail/ },
  { what: 'nothing', mail: '', says: /there is no patch in this mail/ },
  { what: 'half a patch', mail: '+++ b/mm/x.c\n+\tx++;\n', says: /no whole hunk in this mail/ },
  { what: 'binary noise', mail: noise, says: /no mail: it has binary data/ },
  {
    what: 'noise in letters',
    mail: letters.slice(0, 1 << 20),
    says: /no (patch|whole hunk) in this mail/,
  },
  { what: 'more than a mail', mail: letters, says: /more than 1 MiB is no mail/ },
  {
    what: 'another project',
    mail: patch('src/app.c', RETURN),
    says: /is in the tree: src\/app\.c/,
  },
  {
    what: 'another project, no tree',
    mail: patch('src/app.c', RETURN),
    tree: undefined,
    says: /the model has nothing of what it changes: src\/app\.c/,
  },
  { what: 'no C', mail: patch('doc/a.rst', RETURN), says: /changes no C file: doc\/a\.rst/ },
  {
    what: 'a file that the tree lacks',
    mail: patch('mm/gone.c', RETURN),
    says: /none of the files of this patch is in the tree: mm\/gone\.c/,
  },
  {
    what: 'a hunk that fits twice',
    mail: patch('mm/twice.c', TWO),
    says: /mm\/twice\.c: the hunk at line 6: it fits in two places/,
  },
  {
    what: 'a hunk that fits nowhere',
    mail: patch('mm/twice.c', RETURN),
    says: /mm\/twice\.c: the hunk at line 1: its lines are not in the file/,
  },
  {
    what: 'a tree that is none',
    mail: patch('mm/twice.c', TWO),
    tree: join(folder, 'empty'),
    says: /this is no Linux tree/,
  },
  {
    what: 'a tree that is not there',
    mail: patch('mm/twice.c', TWO),
    tree: join(folder, 'nowhere'),
    says: /nowhere: no such directory/,
  },
]

const ASKED = { base: 'auto', assume: [], workers: 1 } as const

async function refused(mail: string, tree: string | undefined, says: RegExp): Promise<void> {
  const asked = tree === undefined ? ASKED : { ...ASKED, linux: tree }
  await assert.rejects(reviewMail(mail, asked), (error: Error) => {
    assert.ok(error instanceof UserError, error.stack)
    assert.match(error.message, says)
    return true
  })
}

for (const [i, { what, mail, says, ...more }] of CASES.entries()) {
  test(`${what} is refused`, async () => {
    const file = join(folder, `mail-${i}`)
    writeFileSync(file, mail)
    await refused(file, 'tree' in more ? more.tree : TREE, says)
  })
}

test('a folder is refused, and a mail that is not there', async () => {
  await refused(TREE, undefined, /linux: this is no file/)
  await refused(join(folder, 'none.eml'), undefined, /none\.eml: no such file/)
})

test('a base that is not there is refused', async () => {
  const mail = join(folder, 'mail')
  writeFileSync(
    mail,
    patch('mm/twice.c', '@@ -1,2 +1,2 @@\n-void first(void)\n+int first(void)\n {\n'),
  )
  await assert.rejects(reviewMail(mail, { ...ASKED, linux: TREE, base: 'upn' }), /no design "upn"/)
})
