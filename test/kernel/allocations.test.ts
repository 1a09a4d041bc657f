import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'

/** What asks for memory. */
const ALLOCATES: ReadonlySet<string> = new Set([
  'kzalloc',
  'kmalloc',
  'allocFolio',
  'vmAreaDup',
  'xaStore',
  'xaStoreEntry',
  'xaStoreOrder',
  'xaStoreRange',
  'xaReserve',
])

/** Where a fault may strike. */
const ASKS: ReadonlySet<string> = new Set(['shouldFailslab', 'inject', 'allocFolioMayFail'])

/** As in Linux: it cannot fail there, or is no allocation there. */
const SURE: Readonly<Record<string, string>> = {
  __deleteFromSwapCache: 'one entry takes the place of another',
  clearShadowFromSwapCache: 'NULL takes the place of an entry',
  folioMigrateMapping: 'one entry takes the place of another',
  kvmVcpuIoctlPreFault: 'the struct is on the stack',
  newNode: 'who stores has asked',
  newSlot: 'its caller has asked',
  storeAttributes: 'its caller has asked',
  sysFstat: 'the struct is on the stack',
  xaRelease: 'NULL takes the place of an entry',
}

const CREATION = 'nobody else knows the new object: a failure leaves nothing behind but -ENOMEM'

/** Left out, and why. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  __kvmGmemCreate: CREATION,
  addToSwapCache: 'reclaim goes on as without a free slot, which a smaller area shows',
  allocAnonInode: CREATION,
  allocFilePseudo: CREATION,
  hugetlbFileSetup: CREATION,
  kvmCreateVm: CREATION,
  kvmGmemAllocInode: CREATION,
  makeSpte: 'the caches that it takes from are not modelled: KVM_RUN has no -ENOMEM of its own',
  newInode: CREATION,
  setPteAt: 'the levels of a page table are not modelled',
  sget: 'file systems are mounted at boot',
  shmemGetInode: CREATION,
  taskVcpu: CREATION,
  upmFileCreate: CREATION,
  v10FileCreate: CREATION,
}

const ROOT = resolve(import.meta.dirname, '../../..')

/** The functions of the kernel that allocate and do not ask, by the name of their constant. */
function silent(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  const files = ['src/kernel', 'src/designs'].flatMap((d) =>
    readdirSync(join(ROOT, d), { recursive: true }).map((f) => join(ROOT, d, String(f))),
  )
  for (const file of files.filter((f) => f.endsWith('.ts'))) {
    const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest)
    for (const statement of source.statements) {
      const name = nameOf(statement)
      if (name === undefined || ALLOCATES.has(name)) continue
      const calls = new Set<string>()
      collect(statement, calls)
      if ([...calls].some((c) => ASKS.has(c))) continue
      const asked = [...calls].filter((c) => ALLOCATES.has(c))
      if (asked.length > 0) found.set(name, new Set(asked))
    }
  }
  return found
}

function nameOf(statement: ts.Statement): string | undefined {
  if (ts.isFunctionDeclaration(statement)) return statement.name?.text
  if (!ts.isVariableStatement(statement)) return undefined
  const [first] = statement.declarationList.declarations
  return first !== undefined && ts.isIdentifier(first.name) ? first.name.text : undefined
}

/** Calls by plain name; that NULL is stored needs no memory. */
function collect(node: ts.Node, into: Set<string>): void {
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
    const erases = node.arguments.some((a) => a.kind === ts.SyntaxKind.NullKeyword)
    if (!(erases && node.expression.text.startsWith('xaStore'))) into.add(node.expression.text)
  }
  node.forEachChild((child) => collect(child, into))
}

test('what allocates can fail where a scenario lets a fault strike, or is known not to', () => {
  const now = [...silent().keys()].sort()
  assert.deepEqual(now, [...Object.keys(SURE), ...Object.keys(LEFT_OUT)].sort())
})
