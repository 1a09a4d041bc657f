import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { inflateRawSync } from 'node:zlib'
import { packagedFile } from '../../src/app/host/package.js'
import { knownNames } from '../../src/app/known.js'
import { builtFile, dataOf } from '../../src/lab/host/ship.js'
import { readScenario } from '../../src/litmus/scenario.js'

interface Doc {
  readonly name: string
  readonly html: string
}

const docs = JSON.parse(builtFile('docs.json').toString('utf8')) as readonly Doc[]

/** What stands behind `href="#` in any page. */
const links = docs.flatMap(({ html }) => [...html.matchAll(/href="#([^"]*)"/g)].map((m) => m[1]!))
const packedIn = (head: string): string[] =>
  links
    .filter((l) => l.startsWith(head))
    .map((l) => inflateRawSync(Buffer.from(l.slice(head.length), 'base64url')).toString('utf8'))

describe('the pages of the documentation', () => {
  test('lead to nothing that is not there', () => {
    const names = new Set(docs.map((d) => d.name))
    const scenarios = new Set(dataOf({}).scenarios.map((s) => s.name))
    for (const link of links) {
      const [screen = '', ...rest] = link.split('/')
      if (screen === 'docs') assert.ok(names.has(rest.join('/')), link)
      else if (screen === 'edit') assert.ok(scenarios.has(rest.join('/')), link)
      else assert.match(link, /^(edit&amp;l|design&amp;d)=[\w-]+\.$/)
    }
  })

  test('have scenarios that can be tried, and the examples of designs', () => {
    const scenarios = packedIn('edit&amp;l=')
    assert.ok(scenarios.length > 0)
    for (const text of scenarios) readScenario(text, knownNames())
    const examples = ['kirill', 'sean', 'wrong'].map((name) =>
      readFileSync(packagedFile(`examples/${name}.ts`), 'utf8'),
    )
    assert.deepEqual(packedIn('design&amp;d='), examples)
  })
})
