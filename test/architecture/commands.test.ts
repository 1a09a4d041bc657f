/** What a page has one type is a command: the program's own grammar reads it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import type { Command } from 'commander'
import { EXIT } from '../../src/cli/exit.js'
import { checkCommand, program } from '../../src/cli/program.js'
import { pages } from './pages.js'

const ROOT = resolve(import.meta.dirname, '../../..')

/** The program, which does nothing. */
function grammar(): Command {
  const main = program(() => {})
  const still = (command: Command): void => {
    command.action(() => {}).configureOutput({ writeErr: () => {}, writeOut: () => {} })
    for (const below of command.commands) {
      // A command of commands says what there is when it is asked for nothing.
      if (below.commands.length === 0) still(below)
      else for (const leaf of below.commands) still(leaf)
    }
  }
  still(main)
  return main
}

/** The words of a line as a shell gives them, with something for each `<placeholder>`. */
function wordsOf(line: string): string[] {
  const typed = line
    .replace(/\s#.*$/, '')
    .replace(/<([\w.-]+)>/g, '$1')
    .replace(/\s\d?[<>].*$/, '')
  return [...typed.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
}

async function refusal(line: string): Promise<string | undefined> {
  const words = wordsOf(line)
  const main = grammar()
  try {
    checkCommand(main, words[0])
    await main.parseAsync(words, { from: 'user' })
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** In a block of code, or in the text. */
const TYPED = /^npx restrictedmem (.+)$|`(?:npx )?restrictedmem ([^`]+)`/gm

test('every command of a page is one that the program takes', async () => {
  const wrong: string[] = []
  let tried = 0
  // The changelog tells of what was, by name.
  for (const page of pages().filter((p) => p !== 'CHANGELOG.md')) {
    const text = readFileSync(join(ROOT, page), 'utf8')
    for (const [, inCode, inText] of text.matchAll(TYPED)) {
      const line = (inCode ?? inText ?? '').replaceAll('\n', ' ')
      const why = await refusal(line)
      if (why !== undefined) wrong.push(`${page}: ${line}: ${why}`)
      tried++
    }
  }
  assert.deepEqual(wrong, [])
  assert.ok(tried > 40, `only ${tried} commands were found`)
  assert.notEqual(await refusal('check --no-such-option'), undefined)
  assert.notEqual(await refusal('chekc'), undefined)
})

test('every npm script that a page has one run is there', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  for (const page of pages()) {
    const text = readFileSync(join(ROOT, page), 'utf8')
    for (const [, name = ''] of text.matchAll(/\bnpm run ([\w:-]+)/g)) {
      assert.ok(name in scripts, `${page}: npm run ${name}`)
    }
  }
})

test("the README's exit codes are those of the program", () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const [, table = ''] = /^\| exit \|.*\n\|.*\n((?:\|.*\n)+)/m.exec(readme) ?? []
  const told = table
    .trim()
    .split('\n')
    .flatMap((row) => {
      const cells = row.split('|').map((c) => c.trim())
      return [cells[1] ?? '', cells[3] ?? ''].flatMap((c) => c.match(/\d+/g) ?? [])
    })
    .map(Number)
  const { SIGNAL, ...own } = EXIT
  const { SIGINT, SIGTERM } = constants.signals
  const real = [...Object.values(own), SIGNAL + SIGINT, SIGNAL + SIGTERM]
  const inOrder = (codes: readonly number[]): number[] => [...codes].sort((a, b) => a - b)
  assert.deepEqual(inOrder(told), inOrder(real))
})
