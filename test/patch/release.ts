/** Statements of C in the place of a function's body, and what the translation makes of them. */
import assert from 'node:assert/strict'
import { upm } from '../../src/designs/upm.js'
import { lowerModule } from '../../src/lower/host.js'
import { type Candidate, calibrationModules, candidates } from '../../src/patch/calibrate.js'
import { scopeOf } from '../../src/patch/facts.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { startCParser } from '../../src/patch/host/grammar.js'
import { readC } from '../../src/patch/host/tree.js'
import type { Scope } from '../../src/patch/model/scope.js'

export let scope: Scope

export async function startTranslating(): Promise<void> {
  await startCParser()
  scope = scopeOf(upm, dictionary())
}

export function candidate(body: string): Candidate {
  const source = `static int restrictedmem_release(struct inode *inode, struct file *outer)
{
	struct restrictedmem *r = inode->i_mapping->private_data;
${body}
}
`
  const [only] = candidates([readC('mm/x.c', source)], scope)
  assert.ok(only !== undefined)
  return only
}

/** The function as translated. */
export function made(body: string): string {
  const only = candidate(body)
  assert.equal(only.reason, undefined, only.reason?.reason)
  return (only.pieces.at(-1)?.text ?? '').replace(/\s+/g, ' ')
}

/** Why it is not. */
export const refused = (body: string): string => candidate(body).reason?.reason ?? ''

/** It passes the compiler and the lowering. */
export function compiles(body: string): void {
  const [module] = calibrationModules([candidate(body).pieces], scope).texts
  assert.deepEqual(lowerModule(module as string).problems, [], module)
}
