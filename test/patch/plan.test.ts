import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { upm } from '../../src/designs/upm.js'
import { lowerModule } from '../../src/lower/host.js'
import { ChangeError, changesOf } from '../../src/patch/changes.js'
import { scopeOf } from '../../src/patch/facts.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { startCParser } from '../../src/patch/host/grammar.js'
import { patchesOf } from '../../src/patch/mail/patch.js'
import { mergeEdit } from '../../src/patch/merge/merge.js'
import type { Scope } from '../../src/patch/model/scope.js'
import { type Calibrated, draft, type Entry, type Plan, plan } from '../../src/patch/plan.js'
import { moduleText } from '../../src/patch/translate/module.js'
import { reviewOf } from '../../src/patch/verdicts.js'

let scope: Scope

before(async () => {
  await startCParser()
  scope = scopeOf(upm, dictionary())
})

/** C of ours that does what the model's function does; `PIN` is where the tests patch it. */
const FAILURE = `static int me_pagecache_clean(struct page_state *ps, struct page *p)
{
	struct address_space *mapping;
	bool pins;
	int res;

	delete_from_lru_cache(p);
	if (PageAnon(p)) {
		res = MF_RECOVERED;
		goto unlock;
	}
	mapping = page_mapping(p);
	if (!mapping) {
		res = MF_FAILED;
		goto unlock;
	}
	pins = shmem_mapping(mapping);
	restrictedmem_error_page(p, mapping);
	res = truncate_error_page(p, page_to_pfn(p), mapping);
	if (has_extra_refcount(ps, p, pins))
		res = MF_FAILED;
unlock:
	unlock_page(p);
	return res;
}
`

interface Asked {
  readonly prefer?: 'whole' | 'merged'
  readonly calibrated?: Calibrated
  readonly assumed?: ReadonlyMap<string, readonly string[]>
}

/** What becomes of a file of C that a patch changes from one text to another. */
function planned(from: string, to: string, asked: Asked = {}): Plan {
  const lines = (text: string, op: string): string =>
    text
      .trimEnd()
      .split('\n')
      .map((l) => `${op}${l}`)
      .join('\n')
  const [a, b] = [from, to].map((t) => t.trimEnd().split('\n').length)
  const mail = `Subject: a patch\n\n--- a/mm/x.c\n+++ b/mm/x.c\n@@ -1,${a} +1,${b} @@\n${lines(from, '-')}\n${lines(to, '+')}\n`
  const made = draft(
    changesOf(patchesOf(mail), () => from, false),
    scope,
  )
  return plan(made, {
    calibrated: () => asked.calibrated,
    checks: made.checks,
    assumed: asked.assumed ?? new Map(),
    broken: new Map(),
    merge: mergeEdit,
    ...(asked.prefer === undefined ? {} : { prefer: asked.prefer }),
  })
}

function only(entries: readonly Entry[]): Entry {
  assert.equal(entries.length, 1)
  return entries[0] as Entry
}

const changed = (from: string, to: string): string => {
  const text = FAILURE.replace(from, to)
  assert.notEqual(text, FAILURE)
  return text
}

/** The module passes the compiler and the lowering. */
function compiles({ pieces }: Plan): string {
  const text = moduleText(pieces, scope, 'a test')
  assert.deepEqual(lowerModule(text).problems, [], text)
  return text
}

test('a function whose translation agrees before the patch is translated whole', () => {
  const made = planned(FAILURE, changed('\trestrictedmem_error_page(p, mapping);\n', ''), {
    calibrated: 'alone',
  })
  assert.equal(only(made.entries).how, 'translated')
  assert.doesNotMatch(compiles(made), /restrictedmemErrorPage/)
})

test('where both ways are open the other one can be had, to be compared', () => {
  const to = changed('\trestrictedmem_error_page(p, mapping);\n', '')
  const [whole, merged] = (['whole', 'merged'] as const).map((prefer) =>
    planned(FAILURE, to, { calibrated: 'alone', prefer }),
  )
  assert.equal(only(whole!.entries).how, 'translated')
  assert.equal(only(merged!.entries).how, 'merged')
  assert.notEqual(compiles(whole!), compiles(merged!))
})

test('a cell in which the two ways part is not judged', () => {
  const cell = { findings: [], skipped: undefined, marks: [] }
  const pair = { scenario: 's', base: cell, patched: cell, difference: undefined }
  const otherWay = { what: 'final states', detail: '1 of 2 gone' }
  const words = [pair, { ...pair, otherWay }].map((p) => reviewOf([p], []).cells[0]?.word)
  assert.deepEqual(words, ['as before', 'not judged'])
})

test('one that differs has the edit merged into the model’s own statements', () => {
  const made = planned(FAILURE, changed('\trestrictedmem_error_page(p, mapping);\n', ''), {
    calibrated: { differs: 'somewhere' },
  })
  const entry = only(made.entries)
  assert.equal(entry.how, 'merged')
  assert.equal(entry.edits, 1)
  const text = compiles(made)
  assert.doesNotMatch(text, /restrictedmemErrorPage/)
  // The model's own text, not the translated one.
  assert.match(text, /let ret = yield\* truncateErrorPage\(p, mapping\)/)
})

test('a merge that is not certain is a conflict, and the function a trap', () => {
  const differs = { calibrated: { differs: 'somewhere' } } as const
  // A name that the model does not have there.
  const name = changed('\tunlock_page(p);', '\tif (res)\n\t\tfolio_get(other);\n\tunlock_page(p);')
  // A jump.
  const jump = changed('\tpins = shmem', '\tif (pins)\n\t\tgoto unlock;\n\tpins = shmem')
  for (const to of [name, jump]) {
    const made = planned(FAILURE, to, differs)
    assert.equal(only(made.entries).how, 'not translated', to)
    assert.match(compiles(made), /hole\("me_pagecache_clean: /)
  }
})

test('a new line between two that follow each other in the model has one place', () => {
  const to = changed('\tres = truncate', '\tfolio_get(p);\n\tres = truncate')
  const made = planned(FAILURE, to, { calibrated: { differs: 'somewhere' } })
  assert.equal(only(made.entries).how, 'merged')
  assert.match(compiles(made), /restrictedmemErrorPage\(p, mapping\)\n +(?:yield\* )?folioGet\(p\)/)
})

test('messages and statistics have no effect', () => {
  const to = changed(
    '\tunlock_page(p);',
    '\tpr_debug("%lx\\n", page_to_pfn(p));\n\tunlock_page(p);',
  )
  const made = planned(FAILURE, to, { calibrated: 'alone' })
  assert.equal(only(made.entries).how, 'no effect')
  assert.deepEqual(made.pieces, [])
})

test('what is unknown is a trap, or what it is assumed to return', () => {
  const to = changed('\tif (!mapping) {', '\tif (!mapping || arch_refuses(p)) {')
  const trap = planned(FAILURE, to, { calibrated: 'alone' })
  const [hole] = only(trap.entries).holes
  assert.match(hole?.reason ?? '', /arch_refuses\(\) is not in the model/)
  assert.match(compiles(trap), /hole\(/)
  const assumed = planned(FAILURE, to, {
    calibrated: 'alone',
    assumed: new Map([['arch_refuses', ['0', '-EINVAL']]]),
  })
  assert.deepEqual(only(assumed.entries).assumptions, ['arch_refuses'])
  assert.match(compiles(assumed), /yield choose\(2\)/)
})

test('a helper that the patch brings is translated with it', () => {
  const helper = `static bool is_ours(struct address_space *mapping)
{
	return mapping->host->i_sb->s_magic == RESTRICTEDMEM_MAGIC;
}

`
  const to = helper + changed('\tif (!mapping) {', '\tif (!mapping || is_ours(mapping)) {')
  const made = planned(FAILURE, to, { calibrated: 'alone' })
  const words = made.entries.map((e) => `${e.name}: ${e.how}`).sort()
  assert.deepEqual(words, ['is_ours: new', 'me_pagecache_clean: translated'])
  assert.match(compiles(made), /yield\* isOurs\$\(/)
})

test('types and macros are said not to be judged; prototypes are without effect', () => {
  const top = '#define LIMIT 4\nstruct seen {\n\tint a;\n};\nint f(void);\n'
  const to = top.replace('LIMIT 4', 'LIMIT 5').replace('int a', 'long a').replace('int f', 'long f')
  const { entries } = planned(top + FAILURE, `${to}/* A comment. */\n${FAILURE}`)
  assert.deepEqual(
    entries.map((e) => `${e.name.split(' ').slice(0, 2).join(' ')}: ${e.how}`),
    ['seen.a: not modelled', 'f: no effect', 'LIMIT: not modelled'],
  )
})

test('what the model does not have is said, not judged', () => {
  const from = 'int vendor_hook(struct vendor *v)\n{\n\treturn v->a;\n}\n'
  const made = planned(from, from.replace('v->a', 'v->b'))
  assert.equal(only(made.entries).how, 'not modelled')
})

test('a patch of other files is refused with one message', () => {
  const mail = 'Subject: x\n\n--- a/README.md\n+++ b/README.md\n@@ -1,1 +1,1 @@\n-a\n+b\n'
  assert.throws(() => changesOf(patchesOf(mail), () => undefined, false), ChangeError)
  const c = mail.replaceAll('README.md', 'drivers/x.c')
  assert.throws(() => changesOf(patchesOf(c), () => undefined, false), /drivers\/x\.c/)
  assert.throws(() => changesOf(patchesOf(c), () => 'int other;\n', false), /not in the file/)
})

test('a tree that has the patch already is taken back to before it', () => {
  const to = FAILURE.replace('MF_FAILED', 'MF_IGNORED')
  const mail = `Subject: x

--- a/mm/x.c
+++ b/mm/x.c
@@ -13,5 +13,5 @@
 	mapping = page_mapping(p);
 	if (!mapping) {
-		res = MF_FAILED;
+		res = MF_IGNORED;
 		goto unlock;
 	}
`
  const { functions, notes } = changesOf(patchesOf(mail), () => to, false)
  assert.match(notes[0] ?? '', /has this patch already/)
  assert.match(functions[0]?.before?.node.text ?? '', /res = MF_FAILED;\n\s*goto/)
})

/** Statements that would do something if C's words were taken for those of the model's language. */
const HOSTILE = [
  "init_rwsem(&p['+process.exit(1)+']);",
  'init_rwsem(&p["+process.exit(1)+"]);',
  'process.exit(1);',
  'globalThis.process.exit(1);',
  'constructor(p);',
  'toString(p);',
  'hasOwnProperty(p, p);',
  '__proto__(p);',
  'p->constructor = p;',
  'p->__proto__ = 0;',
  'p->mapping->toString = 0;',
  'p->mapping->a_ops->constructor(p);',
  'struct constructor *q = p;',
  'eval("process.exit(1)");',
  'WARN_ON(p == "`+process.exit(1)+`");',
  'pr_info("*/ process.exit(1) /*");',
  "res = '`';",
  "res = '\\\\';",
  "res = 1'0;",
  'import("node:fs");',
  'require("child_process");',
  'new_Function("x")();',
  'res = p\u2028process;',
]

test('text of the mail runs in no other way than through the translation', () => {
  for (const line of HOSTILE) {
    const to = changed('\tunlock_page(p);', `\t${line}\n\tunlock_page(p);`)
    const module = moduleText(planned(FAILURE, to, { calibrated: 'alone' }).pieces, scope, line)
    const code = module.replace(/"(?:\\.|[^"\\])*"|'[^'\n]*'|\/\*[\s\S]*?\*\//g, '')
    const words =
      /\b(?:process|globalThis|eval|require|constructor|toString|__proto__)\b|import\(|`\$\{(?!what)/
    assert.doesNotMatch(code, words, line)
  }
})
