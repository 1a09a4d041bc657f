import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { gmem618 } from '../../src/designs/gmem.js'
import { lowerModule } from '../../src/lower/host.js'
import { changesOf } from '../../src/patch/changes.js'
import { hasEdits, inverted } from '../../src/patch/direction.js'
import { scopeOf } from '../../src/patch/facts.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { startCParser } from '../../src/patch/host/grammar.js'
import { patchesOf } from '../../src/patch/mail/patch.js'
import { mergeEdit } from '../../src/patch/merge/merge.js'
import type { Scope } from '../../src/patch/model/scope.js'
import { type Draft, draft, type Plan, plan } from '../../src/patch/plan.js'
import { moduleText } from '../../src/patch/translate/module.js'

let scope: Scope

before(async () => {
  await startCParser()
  scope = scopeOf(gmem618, dictionary())
})

/** Hunks, without the files that they are of. */
function drafted(hunks: string, path = 'mm/memory-failure.c'): Draft {
  const mail = `Subject: x\n\n--- a/${path}\n+++ b/${path}\n${hunks}`
  return draft(changesOf(patchesOf(mail), undefined, false), scope)
}

function made(from: Draft): Plan {
  return plan(from, {
    calibrated: () => undefined,
    checks: from.checks,
    assumed: new Map(),
    broken: new Map(),
    merge: mergeEdit,
  })
}

/** The module, which passes the compiler. */
function text(from: Plan): string {
  const module = moduleText(from.pieces, scope, 'a test')
  assert.deepEqual(lowerModule(module).problems, [], module)
  return module.replace(/\s+/g, ' ')
}

function conflict(hunks: string): string {
  const [entry] = made(drafted(hunks)).entries
  assert.equal(entry?.how, 'not translated')
  return entry?.holes[0]?.reason ?? ''
}

const CLEAN =
  '@@ -40,6 +40,7 @@ static int me_pagecache_clean(struct page_state *ps, struct page *p)'

test('a hunk alone: a new line between two that the model has', () => {
  const from = made(
    drafted(`${CLEAN}
 	}
 
 	pins = shmem_mapping(mapping);
+	folio_get(p);
 	res = truncate_error_page(p, page_to_pfn(p), mapping);
 	if (has_extra_refcount(ps, p, pins))
 		res = MF_FAILED;
`),
  )
  assert.deepEqual(
    from.entries.map((e) => [e.how, e.edits]),
    [['merged', 1]],
  )
  assert.match(text(from), /shmemMapping\(mapping\) (?:yield\* )?folioGet\(p\) let ret = /)
})

test('a hunk alone: its first statement may be the body of what it does not show', () => {
  const reason =
    conflict(`@@ -40,2 +40,3 @@ static int me_pagecache_clean(struct page_state *ps, struct page *p)
 	res = MF_FAILED;
+	folio_get(p);
 	goto unlock;
`)
  assert.match(reason, /two places|stands beside/)
})

test('a hunk alone: what the model has twice is a conflict', () => {
  const reason =
    conflict(`@@ -40,4 +40,3 @@ static int me_pagecache_clean(struct page_state *ps, struct page *p)
 	other_things();
-	unlock_page(p);
 	more_things();
 	many_things();
`)
  assert.match(reason, /two places/)
})

test('a hunk alone: functions that it shows whole are new, or gone', () => {
  const from = made(
    drafted(`@@ -40,0 +41,6 @@ static int me_pagecache_clean(struct page_state *ps, struct page *p)
+static bool is_our_page(struct page *p)
+{
+	return p->mapping;
+}
+
 static const int other;
`),
  )
  assert.deepEqual(
    from.entries.map((e) => `${e.name}: ${e.how}`),
    ['is_our_page: new', 'other: no effect'],
  )
})

test('a hunk alone reads the same with lost columns and blanks for tabs', () => {
  const hunk = `${CLEAN}
 	}
 
 	pins = shmem_mapping(mapping);
+	folio_get(p);
 	res = truncate_error_page(p, page_to_pfn(p), mapping);
 	if (has_extra_refcount(ps, p, pins))
 		res = MF_FAILED;
`
  const mangled = hunk
    .replace(/^ (?=\s)/gm, '')
    .replace(/^\t+/gm, '')
    .replaceAll('+\t', '+        ')
  assert.equal(text(made(drafted(mangled))), text(made(drafted(hunk))))
})

test('a value that is set later moves, and is not changed where it was', () => {
  const from = made(
    drafted(`@@ -40,7 +40,7 @@ static int me_pagecache_clean(struct page_state *ps, struct page *p)
 		goto out;
 	}
 
-	extra_pins = shmem_mapping(mapping);
-
 	ret = truncate_error_folio(folio, page_to_pfn(p), mapping);
+
+	extra_pins = shmem_mapping(mapping) || ret == MF_DELAYED;
 	if (has_extra_refcount(ps, p, extra_pins))
 		ret = MF_FAILED;
`),
  )
  const wanted = /let ret = yield\* truncateErrorPage\(p, mapping\) extraPins = shmemMapping/
  assert.match(text(from), wanted)
})

/** 6.18 has it: an invalid slot ends a prefetch. */
const PREFETCH = `@@ -4480,7 +4480,11 @@ static int kvm_mmu_faultin_pfn(struct kvm_vcpu *vcpu,
 	if (unlikely(!slot))
 		return kvm_handle_noslot_fault(vcpu, fault, access);
 
-	if (slot->flags & KVM_MEMSLOT_INVALID)
+	if (slot->flags & KVM_MEMSLOT_INVALID) {
+		if (fault->prefetch)
+			return -EAGAIN;
+
 		return RET_PF_RETRY;
+	}
 
 	if (slot->id == APIC_ACCESS_PAGE_PRIVATE_MEMSLOT) {
`

test('what a model says with ?: is split, and only half of it taken away', () => {
  const from = drafted(PREFETCH, 'arch/x86/kvm/mmu/mmu.c')
  const [forth, back] = [made(from), made(inverted(from))]
  assert.ok(hasEdits(forth, back))
  assert.match(text(back), /KVM_MEMSLOT_INVALID\) \{ return RET_PF_RETRY \}/)
})

test('a new line does not leave the body that has no braces in the model', () => {
  const from = made(
    drafted(`@@ -40,5 +40,7 @@ static int me_pagecache_clean(struct page_state *ps, struct page *p)
 	res = truncate_error_page(p, page_to_pfn(p), mapping);
-	if (has_extra_refcount(ps, p, pins))
+	if (has_extra_refcount(ps, p, pins)) {
+		folio_get(p);
 		res = MF_FAILED;
+	}
 	folio_put(p);
 	return 0;
 }
`),
  )
  assert.match(
    text(from),
    /hasExtraRefcount\(p, extraPins\)\) \{ (?:yield\* )?folioGet\(p\) ret = MF_FAILED \}/,
  )
})
