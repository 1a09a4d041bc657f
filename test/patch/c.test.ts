import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { conditionOf } from '../../src/patch/c/config.js'
import { functionsOf, tablesOf } from '../../src/patch/c/functions.js'
import { normalise } from '../../src/patch/c/normalise.js'
import { descendants, parseC, squash } from '../../src/patch/c/parse.js'
import { startCParser } from '../../src/patch/host/grammar.js'

before(startCParser)

/** The text of the only function of a source, on one line, as the parser saw it. */
function readable(source: string): string {
  const [only, ...more] = functionsOf(parseC(source)).values()
  assert.ok(only !== undefined && more.length === 0, 'one function')
  assert.equal(only.node.broken, false, normalise(source))
  return squash(only.node.text)
}

test('attributes and comments go; lines keep their numbers', () => {
  const source = `static noinline __must_check int /* a "quote */ pin_slot(struct slot __user *s)
	__must_hold(&s->lock)
{
	char *url = "http://x"; // not a comment in the string
	return s->pins;
}
`
  assert.equal(
    readable(source),
    'static int pin_slot(struct slot *s) { char *url = "http://x"; return s->pins; }',
  )
  assert.equal(normalise(source).split('\n').length, source.split('\n').length)
  const [f] = functionsOf(parseC(source)).values()
  assert.equal(descendants(f!.body, 'return_statement')[0]?.line, 5)
})

test('the configuration decides which branch is read', () => {
  const source = `#ifdef CONFIG_NUMA
int nodes(void) { return 2; }
#else
int nodes(void) { return 1; }
#endif
#define LOOP(x)	do {		\\
	broken( {		\\
} while (0)
`
  assert.equal(readable(source), 'int nodes(void) { return 1; }')
  assert.equal(conditionOf('if', 'defined(CONFIG_SHMEM) && !IS_ENABLED(CONFIG_NUMA)'), true)
  assert.equal(conditionOf('if', 'LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)'), true)
  assert.equal(conditionOf('ifndef', '_LINUX_THING_H'), true)
  assert.equal(conditionOf('if', '0'), false)
  // The model has files of huge pages, and no such pages.
  assert.equal(conditionOf('ifdef', 'CONFIG_HUGETLBFS'), true)
  assert.equal(conditionOf('ifdef', 'CONFIG_HUGETLB_PAGE'), false)
})

test('loops by macro, guards and system calls become plain C', () => {
  assert.equal(
    readable(`int f(struct xarray *xa)
{
	xa_for_each_range(xa, i, e, 0, end)
		g(e);
	if (x)
		list_for_each_entry(p, &head, node) { h(p); }
	scoped_guard(mutex, &m)
		g(0);
	guard(rcu)();
}`),
    'int f(struct xarray *xa) { for (__each(xa_for_each_range, xa, i, e, 0, end);;) g(e); if (x) ' +
      'for (__each(list_for_each_entry, p, &head, node);;) { h(p); } ' +
      'for (__scoped_guard(mutex, &m);;) g(0); __guard(rcu); }',
  )
  assert.match(
    readable('SYSCALL_DEFINE2(make_room, unsigned int, flags,\n\tsize_t, len)\n{\n\treturn 0;\n}'),
    /^long make_room\(unsigned int flags, size_t len\)/,
  )
})

test('types as arguments of macros are one word', () => {
  assert.match(
    readable(
      'int f(void) { return min_t(unsigned long, a, b) + container_of(p, struct slot, node)->n; }',
    ),
    /min_t\(unsigned_long, a, b\) \+ container_of\(p, slot, node\)->n/,
  )
})

test('tables of operations are read with their slots', () => {
  const [table] = tablesOf(
    parseC('static const struct address_space_operations a = {\n\t.migrate_folio = refuse,\n};\n'),
  ).values()
  assert.deepEqual(table, {
    name: 'a',
    struct: 'address_space_operations',
    slots: [['migrate_folio', 'refuse']],
    line: 1,
  })
})

test('what is no C is broken in its own function only', () => {
  const found = functionsOf(
    parseC('int a(void)\n{\n\treturn 1 +;\n}\n\nint b(void)\n{\n\treturn 2;\n}\n'),
  )
  assert.equal(found.get('a')?.node.broken, true)
  assert.equal(found.get('b')?.node.broken, false)
})
