/** `explain`: what a word means, wherever in a report, a scenario or a mail it was met. */
import { readFileSync } from 'node:fs'
import { UserError } from '../app/error.js'
import { nameOf, packagedFiles } from '../app/host/files.js'
import { packagedFile } from '../app/host/package.js'
import { beginsToken } from '../app/token-text.js'
import { ERRNO } from '../kernel/include/errno.js'
import { suggest } from '../litmus/error.js'
import { wrap } from '../report/paint.js'
import { MATRIX_SIGNS, SHORT_WORDS, shortFinding, VERDICT_WORDS } from '../report/words.js'
import { builtLists } from './list.js'
import type { Entry } from './lists.js'

/** What a word means, in lines of a width. @throws UserError if nothing is called so. */
export async function explain(word: string, width: number): Promise<string> {
  const errno = errnoNamed(word)
  if (errno !== undefined) return explainErrno(errno, width)
  if (beginsToken(word)) return explainToken(word)
  const said = meaningOf(word)
  if (said !== undefined) return wrap(`${word}: ${said}`, width, '')
  const lists = builtLists()
  const entries = Object.values(lists).flat()
  const named = (name: string): Entry | undefined => entries.find((e) => bare(e) === name)
  // A cell of the matrix may say how many more there are.
  const short = word.replace(/(\+\d+)?[?!]*$/, '')
  const found = [lists.findings.find(({ name }) => shortFinding(name) === short), named(word)]
    .filter((e) => e !== undefined)
    .map((e) => textOf(e, width))
  if (found.length > 0) return [...new Set(found)].join('\n\n')
  const [design, host] = word.split('@').map(named)
  if (design !== undefined && host !== undefined) {
    return `${textOf(design, width)}\n${textOf(host, width)}`
  }
  const files = packagedFiles()
  const path = files.find((f) => nameOf(f) === word)
  if (path !== undefined) return readFileSync(path, 'utf8').trimEnd()
  const known = [
    ...files.map(nameOf),
    ...entries.map(bare),
    ...[...Object.keys(VERDICT_WORDS), ...SHORT_WORDS, ...Object.keys(ERRNO)],
  ]
  const hint = suggest(word, known).replace(/ (?:Accepted|The nearest).*/, '')
  throw new UserError(`nothing is called "${word}".${hint}`)
}

/** A word of a verdict, or a sign of the matrix. */
function meaningOf(word: string): string | undefined {
  const sign = /^\+\d*$/.test(word) ? '+n' : word
  return (
    MATRIX_SIGNS[sign as keyof typeof MATRIX_SIGNS] ??
    VERDICT_WORDS[word.replace(/[?!]+$/, '') as keyof typeof VERDICT_WORDS]
  )
}

/** `EBUSY`, `-ebusy`, `16` or `-16`. */
function errnoNamed(word: string): string | undefined {
  const bare = word.replace(/^-/, '').toUpperCase()
  if (ERRNO[bare] !== undefined) return bare
  return Object.keys(ERRNO).find((name) => String(ERRNO[name]) === bare)
}

/** An operation's name without its arguments. */
function bare(e: Entry): string {
  return e.name.replace(/\(.*/, '')
}

function textOf({ name, text, source }: Entry, width: number): string {
  const from = source ? `\n${wrap(`Source: ${source}.`, width, '')}` : ''
  return `${name}\n${wrap(text, width, '')}${from}`
}

/** A row of the table of errors, as `docs/errno.json` has it. */
interface ErrorRow {
  readonly call: string
  readonly condition: string
  /** By profile of Linux. */
  readonly answer: Readonly<Record<string, string>>
}

/** The number, and which call answers with it when. */
function explainErrno(name: string, width: number): string {
  const rows = JSON.parse(readFileSync(packagedFile('docs/errno.json'), 'utf8')) as ErrorRow[]
  const lines = rows.flatMap(({ call, condition, answer }) => {
    const on = Object.keys(answer).filter((profile) => answer[profile] === `-${name}`)
    if (on.length === 0) return []
    const everywhere = on.length === Object.keys(answer).length
    return [wrap(`${call}: ${condition}${everywhere ? '' : ` (${on.join(', ')})`}`, width, '  ')]
  })
  const when = lines.length === 0 ? '' : '\nreturned by'
  return [`-${name} is -${ERRNO[name]}${when}`, ...lines].join('\n')
}

async function explainToken(text: string): Promise<string> {
  const { decodeToken, TokenError } = await import('../app/token.js')
  try {
    const t = decodeToken(text)
    const steps = `${t.schedule.length} steps of ${new Set(t.schedule.map((m) => m.task)).size} tasks`
    return `A schedule of ${steps}, for ${t.scenario} on ${t.design}.\nreplay shows it.`
  } catch (error) {
    if (error instanceof TokenError) throw new UserError(error.message)
    throw error
  }
}
