#!/usr/bin/env node
/**
 * The command line. Every way out has its exit code; a stack trace means a bug of ours.
 */
import { UserError } from '../app/error.js'
import { CODE } from '../app/host/package.js'
import { wrap } from '../report/paint.js'
import { EXIT } from './exit.js'
import { out, say, widthOf } from './terminal.js'

/** What each command ends with; set before it prints, for a reader that closes the pipe early. */
let code: number = EXIT.OK

/** Long lines of a message are broken; a line of source with its caret is left alone. */
function wrapLines(text: string): string {
  const width = widthOf(process.stderr)
  return text
    .split('\n')
    .map((line) => (line.startsWith(' ') ? line : wrap(line, width, '')))
    .join('\n')
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that has seen enough, such as head, closes the pipe.
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? code)
  say(`the output can't be written: ${error.message}`)
  process.exit(EXIT.USAGE)
})
process.stderr.on('error', () => {})

/** What to answer to what was thrown, told or not yet. */
async function endOf(error: unknown): Promise<number> {
  const { CommanderError } = await import('commander')
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.OK : EXIT.USAGE
  const { LimitError } = await import('../machine/fault.js')
  if (error instanceof UserError || error instanceof LimitError) {
    const more = error instanceof LimitError ? 'it needs more than the model has: ' : ''
    say(wrapLines(more + error.message))
    return EXIT.USAGE
  }
  say(`a bug in restrictedmem, please report it:\n${(error as Error).stack}`)
  return EXIT.BUG
}

/** What is asked often, and by scripts, and needs no commands; undefined for all else. */
async function answer(words: readonly string[]): Promise<string | undefined> {
  const [command, word, ...more] = words
  if (more.length > 0 || (word ?? '').startsWith('-')) return undefined
  const width = widthOf(process.stdout)
  if (command === '--version' && word === undefined) return CODE.version
  if (command === 'list') return (await import('./list.js')).list(word ?? 'scenarios', width)
  if (command !== 'explain' || word === undefined) return undefined
  return (await import('./explain.js')).explain(word, width)
}

async function run(words: readonly string[]): Promise<void> {
  const { checkCommand, program } = await import('./program.js')
  const main = program((exit) => {
    code = exit
  })
  checkCommand(main, words[0])
  await main.parseAsync(words, { from: 'user' })
}

const words = process.argv.slice(2)
try {
  const answered = await answer(words)
  if (answered === undefined) await run(words)
  else out(answered)
} catch (error) {
  code = await endOf(error)
}
process.exitCode = code
