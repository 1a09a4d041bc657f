/** Whether a function has another body than in a published version. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { before, test } from 'node:test'
import { type Hashes, modelledIn } from '../../src/patch/fingerprint.js'
import { HASHES, hashOf, rowsSince } from '../../src/patch/host/changed-since.js'
import { dictionary } from '../../src/patch/host/dictionary.js'
import { startCParser } from '../../src/patch/host/grammar.js'
import { readC } from '../../src/patch/host/tree.js'

const ROOT = resolve(import.meta.dirname, '../../..')

before(startCParser)

const C = `bool shmem_mapping(struct address_space *mapping)
{
	return mapping->a_ops == &shmem_aops;
}
`

function found(text: string) {
  const list = modelledIn([readC('mm/shmem.c', text)], dictionary())
  assert.equal(list.length, 1)
  return list
}

test('layout, comments and attributes are no other body; a word, a sign or a text is', () => {
  const [first] = found(C)
  const hashes: Hashes = {
    schema: 1,
    versions: { '6.2': 'source' },
    functions: { shmem_mapping: { '6.2': hashOf(first!.tokens) } },
  }
  const word = (text: string): string | undefined => rowsSince(found(text), '6.2', hashes)[0]?.word
  assert.equal(
    word(C.replace('return ', '/* ours */\n\treturn  ').replace('bool', 'bool __pure')),
    'same',
  )
  assert.equal(word(C.replace('==', '!=')), 'another body')
  assert.equal(word(C.replace('shmem_aops', 'shmem_bops')), 'another body')
  assert.equal(rowsSince(found(C), '6.9', hashes)[0]?.word, 'no hash')
  // The model cites 6.2 for it.
  assert.equal(rowsSince(found(C), 'cited', hashes)[0]?.since, '6.2')
})

test('what is recorded are hashes, of functions that the model has', () => {
  const { versions, functions } = JSON.parse(readFileSync(join(ROOT, HASHES), 'utf8')) as Hashes
  const known = new Set(dictionary().functions.map((f) => f.c))
  const all = Object.entries(functions)
  assert.ok(all.length > 250)
  for (const [c, of] of all) {
    for (const [version, hash] of Object.entries(of)) {
      assert.ok(version in versions, version)
      assert.match(hash, /^[0-9a-f]{12}$/, c)
    }
  }
  // One that is renamed in the model stays until the hashes are recorded again.
  assert.ok(all.filter(([c]) => !known.has(c)).length < 20)
})
