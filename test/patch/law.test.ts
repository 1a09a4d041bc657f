/**
 * A law: whatever a diff changes at the top of a file is judged, or said to be without effect and
 * why, or what rests on it is not judged. Nothing goes by in silence.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { upm } from '../../src/designs/upm.js'
import { changesOf } from '../../src/patch/changes.js'
import { scopeOf } from '../../src/patch/facts.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { startCParser } from '../../src/patch/host/grammar.js'
import { patchesOf } from '../../src/patch/mail/patch.js'
import { mergeEdit } from '../../src/patch/merge/merge.js'
import type { Scope } from '../../src/patch/model/scope.js'
import { type Calibrated, draft, type Plan, plan } from '../../src/patch/plan.js'

let scope: Scope

before(async () => {
  await startCParser()
  scope = scopeOf(upm, dictionary())
})

/** A file of ours with one of everything; the model has `me_pagecache_clean()`. */
const FILE = `#include <linux/mm.h>

#define LIMIT 4
#define ROOM(n) ((n) + LIMIT)
#ifdef WIDE
static int wide;
#endif
#ifdef CONFIG_NUMA
static int nodes = 1;
#endif

enum step { FIRST, SECOND, THIRD };
typedef int count_t;
struct seen {
	int a;
	long b;
};
static int budget = 3;
static count_t counted;
static DEFINE_MUTEX(order);
int shown(struct page *p);

static const struct vendor_ops ours = {
	.refuse	= never,
};

static inline int below(int n)
{
	return n < ROOM(1);
}

static int __init seen_init(void)
{
	return 0;
}
module_init(seen_init);

static int me_pagecache_clean(struct page_state *ps, struct page *p)
{
	struct seen *s = p->seen;

	mutex_lock(&order);
	if (below(budget) || s->a == SECOND || counted)
		ours.refuse(p);
	mutex_unlock(&order);
	return 0;
}
EXPORT_SYMBOL(me_pagecache_clean);
`

type Word = 'judged' | 'no effect' | 'not judged' | 'nothing'

const CASES: readonly (readonly [kind: string, from: string, to: string, word: Word])[] = [
  ['a comment', 'static int budget', '/* So many. */\nstatic int budget', 'nothing'],
  ['white space', 'long b;', 'long  b;\n', 'nothing'],
  ['an include', '<linux/mm.h>', '<linux/fs.h>', 'no effect'],
  ['a prototype', 'int shown(', 'bool shown(', 'no effect'],
  ['an export', 'EXPORT_SYMBOL(', 'EXPORT_SYMBOL_GPL(', 'no effect'],
  ['a new macro', '#define LIMIT', '#define FRESH 1\n#define LIMIT', 'no effect'],
  ['a new enumerator', 'THIRD }', 'THIRD, FOURTH }', 'no effect'],
  ['a new field', '\tlong b;\n', '\tlong b;\n\tint c;\n', 'no effect'],
  ['new data', 'static int budget', 'static int fresh;\nstatic int budget', 'no effect'],
  ['what is not compiled', 'nodes = 1', 'nodes = 2', 'no effect'],
  ['a macro', 'LIMIT 4', 'LIMIT 5', 'not judged'],
  ['a macro with arguments', '(n) + LIMIT', '(n) - LIMIT', 'not judged'],
  ['a macro that is gone', '#define LIMIT 4\n', '', 'not judged'],
  ['a macro that conditions ask for', '#define LIMIT', '#define WIDE\n#define LIMIT', 'not judged'],
  ['the value of an enumerator', 'FIRST, ', 'FIRST, BETWEEN, ', 'not judged'],
  ['the type of a field', 'int a;', 'long a;', 'not judged'],
  ['the value of a static variable', 'budget = 3', 'budget = 4', 'not judged'],
  ['a type', 'typedef int', 'typedef long', 'not judged'],
  ['a lock', 'DEFINE_MUTEX', 'DEFINE_SPINLOCK', 'not judged'],
  ['an initcall', 'module_init', 'late_initcall', 'not judged'],
  ['a slot of an unknown table', '= never', '= always', 'not judged'],
  ['an inline function', 'n < ROOM(1)', 'n <= ROOM(1)', 'not judged'],
  ['what cannot be read', 'typedef int count_t;', 'FOO(x) {{ typedef int;', 'not judged'],
  ['a function', '\tmutex_lock(&order);\n', '', 'not judged'],
]

function planned(to: string, path: string, from: string, calibrated?: Calibrated): Plan {
  const side = (text: string, op: string): string => text.trimEnd().replace(/^/gm, op)
  const [a, b] = [from, to].map((t) => t.trimEnd().split('\n').length)
  const mail = `Subject: x\n\n--- a/${path}\n+++ b/${path}\n@@ -1,${a} +1,${b} @@\n${side(from, '-')}\n${side(to, '+')}\n`
  const made = draft(
    changesOf(patchesOf(mail), () => from, false),
    scope,
  )
  return plan(made, {
    calibrated: () => calibrated,
    checks: made.checks,
    assumed: new Map(),
    broken: new Map(),
    merge: mergeEdit,
  })
}

function wordOf({ entries, pieces, nothing }: Plan): Word {
  const isTrap = pieces.some((p) => p.replaces === 'mePagecacheClean' && p.why !== undefined)
  if (isTrap || nothing !== undefined) return 'not judged'
  for (const e of entries) assert.ok(e.how !== 'no effect' || e.holes[0]?.reason, e.name)
  if (entries.length === 0) return 'nothing'
  return entries.every((e) => e.how === 'no effect') ? 'no effect' : 'judged'
}

for (const [kind, from, to, word] of CASES) {
  test(`${kind}: ${word}`, () => {
    const text = FILE.replace(from, to)
    assert.notEqual(text, FILE)
    assert.equal(wordOf(planned(text, 'mm/memory-failure.c', FILE)), word)
  })
}

test('in a header, without a tree, nobody knows who uses it', () => {
  const mail = `Subject: x

--- a/include/linux/mm.h
+++ b/include/linux/mm.h
@@ -1,3 +1,3 @@
 struct page;
-#define PAGE_LIMIT 3
+#define PAGE_LIMIT 4
 struct folio;
`
  const made = draft(changesOf(patchesOf(mail), undefined, false), scope)
  const { nothing } = plan(made, {
    calibrated: () => undefined,
    checks: [],
    assumed: new Map(),
    broken: new Map(),
    merge: mergeEdit,
  })
  assert.match(nothing ?? '', /without a tree nobody knows who uses PAGE_LIMIT/)
})

const other = (path: string, lines: string, old = path): Plan =>
  plan(
    draft(
      changesOf(
        patchesOf(
          `Subject: x\n\n--- a/${old}\n+++ b/${path}\n@@ -1,1 +1,2 @@\n a\n${lines}\n--- a/mm/memory-failure.c\n+++ b/mm/memory-failure.c\n@@ -1,1 +1,2 @@\n #include <linux/mm.h>\n+#include <linux/fs.h>\n`,
        ),
        () => FILE,
        false,
      ),
      scope,
    ),
    {
      calibrated: () => undefined,
      checks: [],
      assumed: new Map(),
      broken: new Map(),
      merge: mergeEdit,
    },
  )

test('files that are no C are without effect, or may change anything', () => {
  const cases = [
    ['Documentation/mm/x.rst', '+b', undefined],
    ['arch/arm64/kvm/mmu.c', '+int kvm_age_gfn(void);', undefined],
    ['mm/Kconfig', '+config FRESH', undefined],
    ['arch/x86/entry/syscalls/syscall_64.tbl', '+451 common x sys_x', undefined],
    ['mm/Kconfig', '+\tselect OTHER', /may change anything/],
    ['mm/Makefile', '+obj-y += other.o', /may change anything/],
    ['arch/x86/kvm/vmx/vmenter.S', '+\tret', /may change anything/],
  ] as const
  for (const [path, lines, why] of cases) {
    const { nothing } = other(path, lines)
    if (why === undefined) assert.equal(nothing, undefined, path)
    else assert.match(nothing ?? '', why, path)
  }
})

test('a helper that changes is judged with the function that calls it', () => {
  const c = (n: number): string => `static int result(int n)
{
	return n == ${n} ? MF_FAILED : MF_RECOVERED;
}

static int me_pagecache_clean(struct page_state *ps, struct page *p)
{
	unlock_page(p);
	return result(1);
}
`
  const made = planned(c(2), 'mm/memory-failure.c', c(1), 'alone')
  assert.deepEqual(
    made.entries.map((e) => `${e.name}: ${e.how}`),
    ['result: not modelled', 'me_pagecache_clean: translated'],
  )
  assert.equal(made.nothing, undefined)
})

test('a function that the model has under the name of a new one is not judged', () => {
  const made = planned(
    `${FILE}\nint shmem_mapping(struct address_space *m)\n{\n\treturn 0;\n}\n`,
    'mm/x.c',
    FILE,
  )
  assert.match(made.entries[0]?.holes[0]?.reason ?? '', /who calls which is not known/)
  assert.ok(made.pieces.some((p) => p.replaces === 'shmemMapping' && p.why !== undefined))
})

test('a function of a driver that has the name of one of the model is another one', () => {
  const from = 'static int me_pagecache_clean(struct x *a)\n{\n\treturn 0;\n}\n'
  const made = planned(from.replace('0', '1'), 'drivers/x/y.c', from)
  assert.deepEqual(
    made.entries.map((e) => e.how),
    ['not modelled'],
  )
})
