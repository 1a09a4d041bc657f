/** Scopes that C ends by itself: guard(), scoped_guard(), __free(). */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { readC } from '../../src/patch/host/tree.js'
import { mergeEdit } from '../../src/patch/merge/merge.js'
import { Session } from '../../src/patch/translate/session.js'
import { candidate, compiles, made, refused, scope, startTranslating } from './release.js'

before(startTranslating)

test('a guard() is locked where it stands and unlocked on every way out', () => {
  const text = made(`	guard(rwsem_write)(&r->lock);
	if (!r->memfd)
		return -EINVAL;
	fput(r->memfd);
	return 0;`)
  assert.equal(text.match(/downWrite\(/g)?.length, 1)
  assert.match(text, /if \(.*\) \{ yield\* upWrite\(held!\) return -EINVAL \}/)
  assert.match(text, /fput\(.*\) yield\* upWrite\(held!\) return 0 \}\)$/)
})

test('the result is known before the lock is dropped', () => {
  const text = made(`	guard(rwsem_read)(&r->lock);
	return r->memfd->f_inode->i_size == 0;`)
  assert.match(text, /const (t\d+) = t\d+ === 0n \? 1 : 0 yield\* upRead\(held!\) return \1 \}\)$/)
})

test('of two scopes the inner one ends first, and a block ends its own', () => {
  const text = made(`	guard(rwsem_read)(&r->lock);
	if (r->memfd) {
		guard(rcu)();
		if (r->memfd->f_inode)
			return 1;
	}
	return 0;`)
  assert.match(text, /rcuReadUnlock\(\) yield\* upRead\(held!\) return 1 \} rcuReadUnlock\(\) \}/)
  assert.match(text, /\} yield\* upRead\(held!\) return 0 \}\)$/)
})

test('a jump backwards over a guard() drops the lock first, one forwards past its end too', () => {
  const body = `retry:
	guard(rwsem_read)(&r->lock);
	if (!r->memfd)
		goto retry;
	while (r->memfd) {
		guard(rcu)();
		if (r->memfd->f_inode)
			break;
		continue;
	}
	return 0;`
  const text = made(body)
  compiles(body)
  assert.match(text, /yield\* upRead\(held!\) continue retry/)
  assert.match(text, /rcuReadUnlock\(\) break \} rcuReadUnlock\(\) continue/)
})

test('a return out of a scoped_guard() drops its lock; break would only end it', () => {
  const text = made(`	scoped_guard(rwsem_read, &r->lock) {
		if (!r->memfd)
			return 1;
		fput(r->memfd);
	}
	return 0;`)
  assert.match(text, /yield\* upRead\(held!\) return 1 \}/)
  assert.match(text, /fput\(.*\) yield\* upRead\(held!\) return 0 \}\)$/)
  assert.match(
    refused('\twhile (r->memfd)\n\t\tscoped_guard(rcu)\n\t\t\tcontinue;\n\treturn 0;'),
    /jump/,
  )
})

test('what __free() frees is freed on every way out', () => {
  const body = `	struct file *f __free(fput) = r->memfd;

	if (!f)
		return -EINVAL;
	return 0;`
  const text = made(body)
  compiles(body)
  assert.equal(text.match(/if \(f !== null && !isErr\(f\)\) \{ yield\* fput\(f\) \}/g)?.length, 2)
  assert.match(refused('\tstruct file *f __free(vendor) = r->memfd;\n\treturn 0;'), /kind vendor/)
})

test('kinds that the model has no words for are refused, with the line', () => {
  assert.match(refused('\tguard(vendor)(&r->lock);\n\treturn 0;'), /guard of the kind vendor/)
  assert.match(refused('\tCLASS(vendor, f)(3);\n\treturn 0;'), /CLASS\(\) of the kind vendor/)
  const { reason } = candidate('\tguard(mutex_intr)(&r->lock);\n\treturn 0;')
  assert.equal(reason?.line, 4)
})

test('nothing is merged where C unlocks by itself', () => {
  const c = (
    line: string,
  ): string => `static int restrictedmem_release(struct inode *i, struct file *f)
{
	guard(rcu)();
	xa_destroy(&r->bindings);
${line}	fput(r->memfd);
	return 0;
}
`
  const [was, now] = ['', '\tif (!r)\n\t\treturn 0;\n'].map((l) =>
    readC('mm/x.c', c(l)).functions.get('restrictedmem_release'),
  )
  const [target] = scope.bodies('restrictedmem_release')
  const change = { kind: 'changed', name: 'f', file: 'mm/x.c', before: was, after: now } as const
  const sources = { functionNamed: () => undefined, tableNamed: () => undefined }
  const merged = mergeEdit({ ...change, lines: new Set() }, target!, new Session(scope, sources))
  assert.match('conflict' in merged ? merged.conflict : 'merged', /end of a scope/)
})
