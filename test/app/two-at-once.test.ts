/**
 * Two Linux versions, and a design of a user's, in one process: asked one after the other or at
 * once, each is answered as if it were alone. A check has threads of its own; what tells of a
 * finding runs in this one, and boots what it needs.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  check,
  loadDesigns,
  loadScenarios,
  type Story,
  tell,
  type Verdict,
} from '../../src/app/host/index.js'

const NAME = 'memslot/clear-private-flag-then-punch'
const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-two-'))
after(() => rmSync(folder, { recursive: true }))

/** A design with a struct of its own, which no other one may get to see. */
function ownDesign(): string {
  const path = join(folder, 'own.ts')
  writeFileSync(
    path,
    `import { defineDesign } from 'restrictedmem/designs/design.js'
import { upm } from 'restrictedmem/designs/upm.js'
import { sysFsync } from 'restrictedmem/kernel/fs/sync.js'
import { kzalloc } from 'restrictedmem/machine/alloc.js'
import { fn, type Kernel, replace } from 'restrictedmem/machine/fn.js'
import { num, type Obj, type Struct, struct } from 'restrictedmem/machine/struct.js'
interface Own extends Obj { fd: number }
const Own: Struct<Own> = struct<Own>('Own', { fd: num() })
const keep = fn(function* fsync(fd: number): Kernel<number> {
  kzalloc(Own).fd = fd
  return 0
})
export const design = defineDesign({
  id: 'own', summary: 'A test.', base: upm, cite: [], replaces: [replace(sysFsync, keep)],
})
`,
  )
  return path
}

interface Answer {
  readonly verdict: Partial<Verdict>
  readonly stories: readonly Story[]
}

/** What is said of one scenario on one design, and each finding's execution. */
async function ask(design: string): Promise<Answer> {
  const designs = await loadDesigns([design])
  const scenarios = loadScenarios([NAME])
  const { cells } = await check({ scenarios, designs, workers: 1, cache: false })
  const [cell] = cells
  assert.ok(cell !== undefined)
  const { ms: _, ...verdict } = cell.verdict
  return { verdict, stories: verdict.findings.map((f) => tell(cell, f)) }
}

test('two versions of Linux, and a design of the user, answer at once what each answers alone', async () => {
  const names = ['upm', 'gmem-6.18']
  const alone: Answer[] = []
  for (const name of names) alone.push(await ask(name))
  const [upm, gmem] = alone
  assert.notDeepEqual(upm?.verdict.findings, gmem?.verdict.findings)
  const [own, ...both] = await Promise.all([ownDesign(), ...names].map(ask))
  assert.deepEqual(both, alone)
  // Nothing here calls what the design replaces.
  assert.deepEqual(own?.verdict.findings, upm?.verdict.findings)
})
