/** Words of C that the model has otherwise: counts, descriptors, ranges, requests. C of our own. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import ts from 'typescript'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import type { Design } from '../../src/designs/design.js'
import { gmem618 } from '../../src/designs/gmem.js'
import { upm } from '../../src/designs/upm.js'
import { PGOFF_MAX } from '../../src/kernel/include/types.js'
import { lowerModule } from '../../src/lower/host.js'
import type { Replacement } from '../../src/machine/fn.js'
import { type Candidate, calibrationModules, candidates } from '../../src/patch/calibrate.js'
import { scopeOf } from '../../src/patch/facts.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { startCParser } from '../../src/patch/host/grammar.js'
import { readC } from '../../src/patch/host/tree.js'
import { difference, judgeCell } from '../../src/patch/judge.js'
import type { Scope } from '../../src/patch/model/scope.js'

before(startCParser)

function translated(design: Design, path: string, source: string): readonly Candidate[] {
  return candidates([readC(path, source)], scopeOf(design, dictionary()))
}

/** Each function in the place of the model's: every final state of these scenarios stays. */
async function agrees(
  design: Design,
  path: string,
  source: string,
  names: readonly string[],
): Promise<void> {
  const list = translated(design, path, source)
  assert.ok(list.length > 0)
  for (const c of list) assert.equal(c.reason, undefined, `${c.c}: ${c.reason?.reason}`)
  const groups = list.map((c) => c.pieces)
  const [text, ...more] = calibrationModules(groups, scopeOf(design, dictionary())).texts
  assert.deepEqual(more, [])
  const { text: code, problems } = lowerModule(text!)
  assert.deepEqual(problems, [], text)
  const url = `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`
  const { made } = (await import(url)) as { made: Record<string, Replacement> }
  const files = builtInScenarios().filter((f) => names.includes(f.scenario.name))
  assert.equal(files.length, names.length)
  for (const { scenario } of files) {
    const was = judgeCell(scenario, design)
    for (const [name, by] of Object.entries(made)) {
      const now = judgeCell(scenario, { ...design, base: design, replaces: [by] })
      assert.equal(difference(was, now), undefined, `${name} in ${scenario.name}`)
    }
  }
}

test('atomic counts of a field', async () => {
  const kvm = `
void kvm_get_kvm(struct kvm *kvm)
{
	refcount_add(1, &kvm->users_count);
}

void kvm_put_kvm(struct kvm *kvm)
{
	if (!refcount_sub_and_test(1, &kvm->users_count))
		return;
	kvm_destroy_vm(kvm);
}
`
  await agrees(upm, 'virt/kvm/kvm_main.c', kvm, ['lifetime/close-the-file-and-delete-the-slot'])
  const folio = `
static inline void folio_put_refs(struct folio *folio, int refs)
{
	if (folio_ref_sub_and_test(folio, refs))
		__folio_put(folio);
}
`
  await agrees(upm, 'include/linux/mm.h', folio, ['punch/punch-vs-guest-fault'])
})

test('a descriptor’s file, put with its scope or by hand', async () => {
  const scoped = `
SYSCALL_DEFINE4(fallocate, int, fd, int, how, loff_t, at, loff_t, bytes)
{
	CLASS(fd, f)(fd);

	if (fd_empty(f))
		return -EBADF;
	return vfs_fallocate(fd_file(f), how, at, bytes);
}
`
  const byHand = `
SYSCALL_DEFINE4(fallocate, int, fd, int, how, loff_t, at, loff_t, bytes)
{
	struct fd f = fdget(fd);
	int err = -EBADF;

	if (!f.file)
		return err;
	err = vfs_fallocate(f.file, how, at, bytes);
	fdput(f);
	return err;
}
`
  for (const c of [scoped, byHand]) {
    await agrees(upm, 'fs/open.c', c, ['punch/punch-vs-guest-fault'])
  }
})

test('a range is stored if there is memory, and nobody asks', async () => {
  const bind = `
int restrictedmem_bind(struct file *file, pgoff_t start, pgoff_t end,
		       struct restrictedmem_notifier *user, bool exclusive)
{
	struct restrictedmem *r = file->f_mapping->private_data;
	int err = -EINVAL;

	down_write(&r->lock);
	if (exclusive && !xa_find(&r->bindings, &start, end, XA_PRESENT)) {
		xa_store_range(&r->bindings, start, end, user, GFP_KERNEL);
		r->exclusive = true;
		err = 0;
	}
	up_write(&r->lock);
	return err;
}
`
  await agrees(upm, 'mm/restrictedmem.c', bind, ['faults/the-binding-fails'])
  const asked = bind.replace('xa_store_range(', 'err = xa_store_range(')
  const [c] = translated(upm, 'mm/restrictedmem.c', asked)
  assert.match(c?.reason?.reason ?? '', /what xa_store_range\(\) returns/)
})

test('a sequence without a number, a list that knows its members, a VM that is dead', async () => {
  const end = `
void kvm_mmu_invalidate_end(struct kvm *kvm)
{
	kvm->mmu_invalidate_seq++;
	--kvm->mmu_invalidate_in_progress;
}
`
  await agrees(upm, 'virt/kvm/kvm_main.c', end, ['punch/punch-vs-guest-fault'])
  const checked = end.replace(
    '\n}',
    '\n\tKVM_BUG_ON(kvm->mmu_invalidate_in_progress < 0, kvm);\n\tWARN_ON(kvm->mmu_invalidate_range_start == INVALID_GPA);\n}',
  )
  await agrees(gmem618, 'virt/kvm/kvm_main.c', checked, ['memory-failure/close-vs-own-failure'])
  const add = `
void inode_sb_list_add(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	spin_lock(&sb->s_inode_list_lock);
	list_add(&inode->i_sb_list, &sb->s_inodes);
	spin_unlock(&sb->s_inode_list_lock);
}
`
  await agrees(upm, 'fs/inode.c', add, ['punch/punch-vs-guest-fault'])
})

test('the fields of a request are parameters of the model', async () => {
  const create = `
int kvm_gmem_create(struct kvm *kvm, struct kvm_create_guest_memfd *args)
{
	u64 flags = args->flags;
	loff_t size = args->size;

	if (!PAGE_ALIGNED(size) || size <= 0)
		return -EINVAL;
	if (flags & ~kvm_gmem_get_supported_flags(kvm))
		return -EINVAL;
	return __kvm_gmem_create(kvm, size, flags);
}
`
  await agrees(gmem618, 'virt/kvm/guest_memfd.c', create, ['memory-failure/close-vs-own-failure'])
})

test('a sum of 64 bits wraps, signed or not as its operands are', async () => {
  const bind = (type: string): string => `
int kvm_gmem_bind(struct kvm *kvm, struct kvm_memory_slot *slot, unsigned int fd, ${type} offset)
{
	${type} bytes = slot->npages << PAGE_SHIFT;
	struct file *file = fget(fd);
	struct kvm_gmem *gmem;
	unsigned long first, behind;
	int ret = -EINVAL;

	if (!file)
		return -EBADF;
	if (file->f_op != &kvm_gmem_fops)
		goto put;
	gmem = file->private_data;
	if (gmem->kvm != kvm || offset < 0 || !PAGE_ALIGNED(offset))
		goto put;
	if (offset + bytes > i_size_read(file_inode(file)))
		goto put;
	first = offset >> PAGE_SHIFT;
	behind = first + slot->npages;
	filemap_invalidate_lock(file->f_mapping);
	if (!xa_find(&gmem->bindings, &first, behind - 1, XA_PRESENT)) {
		WRITE_ONCE(slot->gmem.file, file);
		slot->gmem.pgoff = first;
		xa_store_range(&gmem->bindings, first, behind - 1, slot, GFP_KERNEL);
		ret = 0;
	}
	filemap_invalidate_unlock(file->f_mapping);
put:
	fput(file);
	return ret;
}
`
  const scenarios = ['memslot/offset-at-the-end-of-the-world']
  const path = 'virt/kvm/guest_memfd.c'
  await agrees(gmem618, path, bind('loff_t'), scenarios)
  await assert.rejects(agrees(gmem618, path, bind('u64'), scenarios), /offset-at-the-end/)
})

/** What an expression of C comes to; `x` is all ones, `one` is 1, `i` an offset beyond 32 bits. */
function worth(c: string, scope: Scope): unknown {
  const source = `
int kvm_gmem_bind(struct kvm *kvm, struct kvm_memory_slot *slot, unsigned int fd, loff_t offset)
{
	u64 x = offset;
	u64 one = 1;
	pgoff_t i = fd;

	return ${c};
}
`
  const [bind] = candidates([readC('virt/kvm/guest_memfd.c', source)], scope)
  assert.equal(bind?.reason, undefined, `${c}: ${bind?.reason?.reason}`)
  const text = bind?.pieces.find((p) => p.replaces !== undefined)?.text ?? ''
  const compilerOptions = { target: ts.ScriptTarget.ES2022 }
  const { outputText } = ts.transpileModule(`return ${text}`, { compilerOptions })
  const same = (v: unknown): unknown => v
  const make = new Function('fn', 'PGOFF_MAX', 'noWrap', outputText)
  const run = make(same, PGOFF_MAX, same) as (...args: unknown[]) => Generator<unknown, unknown>
  return run({}, {}, 2 ** 33 + 5, -1n).next().value
}

test('signs, promotions and bits of 64-bit values are those of C', () => {
  const all = 2 ** 33 + 5
  const cases: readonly (readonly [string, number])[] = [
    ['x == -1', 1],
    ['x > 5', 1],
    ['x + -1 == x - 1', 1],
    ['-x == 1', 1],
    ['~x == 0', 1],
    ['x == ~0', 1],
    ['x == 0xffffffffffffffff', 1],
    ['offset < one', 0],
    ['(offset << one) < 0', 1],
    ['(offset >> one) < 0', 1],
    ['(1ULL << 40) > 0xffffffff', 1],
    ['(1ULL << 63) > 0', 1],
    ['(fd ? 1 : x) == 1', 1],
    ['(fd ? offset : one) > 0', 1],
    ['(fd > 7 ? 1 : 2) + 1', 2],
    ['(int)x', -1],
    ['(u32)offset == 0xffffffff', 1],
    ['(i & ~1) == i - 1', 1],
    ['(i >> 1 << 1) == i - 1', 1],
    ['(i | 2) == i + 2', 1],
    ['i / 2', (all - 1) / 2],
    ['i % 2', 1],
    ['i < ~0UL', 1],
  ]
  const scope = scopeOf(gmem618, dictionary())
  for (const [c, is] of cases) assert.equal(worth(c, scope), is, c)
})

test('a function of another version’s name is compared with the one that it was', async () => {
  const truncate = `
static int truncate_error_folio(struct folio *folio, unsigned long pfn,
				struct address_space *mapping)
{
	if (mapping->a_ops->error_remove_folio) {
		if (mapping->a_ops->error_remove_folio(mapping, folio))
			return MF_FAILED;
		return MF_RECOVERED;
	}
	return mapping_evict_folio(mapping, folio) ? MF_RECOVERED : MF_FAILED;
}
`
  const [c, ...more] = translated(gmem618, 'mm/memory-failure.c', truncate)
  assert.equal(more.length, 0)
  assert.equal(c?.target.c, 'truncate_error_page')
  await agrees(gmem618, 'mm/memory-failure.c', truncate, ['memory-failure/close-vs-own-failure'])
})

test('minus one as an offset is the last page of all', () => {
  const unbind = `
void restrictedmem_unbind(struct file *file, pgoff_t start, pgoff_t end,
			  struct restrictedmem_notifier *user)
{
	struct restrictedmem *r = file->f_mapping->private_data;

	xa_store_range(&r->bindings, start, -1ul, NULL, GFP_KERNEL);
}
`
  const [c] = translated(upm, 'mm/restrictedmem.c', unbind)
  assert.equal(c?.reason, undefined)
  assert.match(c?.pieces.at(-1)?.text ?? '', /xaStoreRange\(.*, PGOFF_MAX, null\)/)
})

test('helpers of one name that are not the same are in two modules', () => {
  const scope = scopeOf(upm, dictionary())
  const piece = (name: string, text: string) => ({ name, text, comment: '' })
  const groups = [
    [piece('a$', '1'), piece('helper$', '2')],
    [piece('b$', '3'), piece('helper$', '4')],
    [piece('c$', '5'), piece('helper$', '2')],
  ]
  const { texts, homes } = calibrationModules(groups, scope)
  assert.deepEqual(homes, [0, 1, 0])
  assert.match(texts[0]!, /const helper\$ = 2/)
  assert.match(texts[1]!, /const helper\$ = 4/)
})
