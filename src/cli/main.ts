#!/usr/bin/env node
/** The command line. Every way out has its exit code; a stack trace means a bug of ours. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { FAMILIES } from '../conform/generate.js'
import { suggest } from '../litmus/error.js'
import { wrap } from '../report/paint.js'
import { check } from './check.js'
import { type ConformFlags, conform } from './conform.js'
import { EXIT } from './exit-codes.js'
import { codeVersion, UserError } from './inputs.js'
import { explain, LISTS, list } from './list.js'
import { addPatchCommands } from './patch-commands.js'
import { replay } from './replay.js'
import type { JobEffort } from './worker.js'

let code: number = EXIT.OK

function count(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a whole number is wanted.')
  return Number(text)
}

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}

/** How many executions a second opinion may take if the user does not say. */
const CROSS_EXECUTIONS = 20_000

interface CheckFlags {
  readonly design: string[]
  readonly bound?: number
  readonly find?: boolean
  readonly exact?: boolean
  readonly time?: number
  readonly memory?: number
  readonly checkpoint?: string
  readonly cache: boolean
  readonly workers?: number
  readonly cross?: number | true
  readonly promela?: string
  readonly sample?: number
  readonly seed?: number
  readonly json?: boolean
  readonly ktap?: boolean
}

async function runCheck(files: string[], flags: CheckFlags): Promise<void> {
  code = await check(files, {
    design: flags.design,
    effort: effortOf(flags),
    cache: isSearch(flags) && flags.cache,
    workers: flags.workers,
    promela: flags.promela,
    format: flags.json ? 'json' : flags.ktap ? 'ktap' : 'text',
  })
}

function effortOf(flags: CheckFlags): JobEffort {
  return {
    bound: flags.bound,
    find: flags.find === true,
    exact: flags.exact === true,
    timeLimitMs: flags.time === undefined ? undefined : flags.time * 1000,
    memoryBytes: flags.memory === undefined ? undefined : flags.memory * 2 ** 20,
    checkpoint: flags.checkpoint,
    sample: flags.sample,
    seed: flags.seed ?? 1,
    cross: flags.cross === true ? CROSS_EXECUTIONS : flags.cross,
  }
}

/** One whole search for each cell, and nothing besides: what can be kept for another time. */
function isSearch(flags: CheckFlags): boolean {
  return [flags.checkpoint, flags.sample, flags.cross].every((f) => f === undefined)
}

function withCheckOptions(command: Command): Command {
  return command
    .option('-d, --design <id|file.ts>', 'design to check (repeatable)', collect, [])
    .option('--bound <n>', 'at most n preemptions instead of all', count)
    .option('--exhaustive', 'every interleaving (the default)')
    .addOption(
      new Option('--find', 'stop at the first finding; bound after bound').conflicts('exhaustive'),
    )
    .addOption(
      new Option('--exact', 'compare whole states, not fingerprints').conflicts(['bound', 'find']),
    )
    .option('--time <s>', 'seconds for each cell', count)
    .option('--memory <MiB>', 'memory for the states of each cell', count)
    .addOption(
      new Option('--checkpoint <file>', 'save to it, and go on from it, if it exists').conflicts([
        'bound',
        'find',
        'exact',
      ]),
    )
    .option('--no-cache', 'check again what an earlier run has finished')
    .option('--workers <n>', 'worker threads; several may share one cell', count)
    .addOption(
      new Option('--sample <n>', 'n random executions of each cell instead of all')
        .argParser(count)
        .conflicts(['bound', 'exhaustive', 'cross']),
    )
    .option('--seed <n>', 'for --sample: another seed, other executions (default: 1)', count)
    .option(
      '--cross [n]',
      'ask a second, stateless search, for n executions at most, and SPIN if it is installed',
      count,
    )
    .option('--promela <file.pml>', 'write the cell as a model for SPIN, and file.c with it')
    .addOption(new Option('--json', 'print JSON').conflicts('ktap'))
    .option('--ktap', 'print KTAP')
}

function program(): Command {
  const main = new Command('restrictedmem')
    .description("Linux's guest-private memory as a program: every interleaving, judged.")
    .version(codeVersion().version)
    .exitOverride()
    .showSuggestionAfterError(true)
    .enablePositionalOptions()
    .addHelpText('before', examples)
  withCheckOptions(main).action((_flags: CheckFlags) => runCheck([], main.opts()))
  withCheckOptions(
    main.command('check [scenario...]').description('check scenarios on designs'),
  ).action((files: string[], flags: CheckFlags) =>
    runCheck(files, {
      ...main.opts(),
      ...flags,
      design: [...main.opts<CheckFlags>().design, ...flags.design],
    }),
  )
  main
    .command('replay <token>')
    .description('run a finding again; - reads the token from the standard input')
    .option('--on <design>', 'the same schedule on another design')
    .addOption(
      new Option('--view <view>', 'how to show it; litmus: the smallest scenario with the finding')
        .choices(['columns', 'splat', 'list', 'litmus'])
        .default('columns'),
    )
    .option('--direct', 'run the generators as written instead of lowered code')
    .option('--file <litmus>', 'where the scenario is, if it is not built in')
    .option('--design <file.ts>', 'where the design is, if it is not built in')
    .action(async (token: string, flags) => {
      code = await replay(token, {
        on: flags.on,
        view: flags.view,
        direct: flags.direct === true,
        file: flags.file,
        design: flags.design,
      })
    })
  main
    .command('list [what]')
    .description(`list ${LISTS.join(', ')}`)
    .action((what = 'scenarios') => {
      process.stdout.write(`${list(what)}\n`)
    })
  main
    .command('explain <word>')
    .description('say what a finding, design, operation, errno or token is')
    .action((word: string) => {
      process.stdout.write(`${explain(word)}\n`)
    })
  main
    .command('conform')
    .description('compare the model with a real kernel, call by call')
    .option('--transcript <file>', 'a recording (repeatable); all built-in ones', collect, [])
    .option('--live', 'random programs on the running kernel')
    .option('--family <name>', `with --live: ${FAMILIES.join(', ')} (repeatable)`, collect, [])
    .option('--seed <n>', 'with --live: the first seed', count, 1)
    .option('--count <n>', 'with --live: programs for each family', count, 1000)
    .option('--record <file>', 'with --live: write what the kernel answered')
    .option('--ktap', 'with --live: print KTAP')
    .option('--guest', 'what a real guest sees of guest_memfd on the running kernel')
    .option('--qemu <deb>', "programs that break memory, on Debian's kernel in QEMU")
    .option('--probe', 'say what the running kernel offers')
    .option('--all', 'show every program that differs')
    .action(async (flags: ConformFlags) => {
      code = await conform(flags)
    })
  addPatchCommands(main, (exit) => {
    code = exit
  })
  main
    .command('bench')
    .description('measure the engine')
    .action(async () => {
      await import('../../bench/main.js')
    })
  return main
}

const examples = `Examples:
  restrictedmem                                   the built-in matrix
  restrictedmem check punch/punch-vs-guest-fault  one scenario, all designs
  restrictedmem check -d ./mine.ts my.litmus      your design, your scenario
`

/** Long lines of a message are broken; a line of source with its caret is left alone. */
function wrapLines(text: string): string {
  return text
    .split('\n')
    .map((line) => (line.startsWith(' ') ? line : wrap(line, 79, '')))
    .join('\n')
}

/** The first word must be a command; commander would call it one argument too many. */
function checkCommand(main: Command, word: string | undefined): void {
  const names = [...main.commands.map((c) => c.name()), 'help']
  if (word === undefined || word.startsWith('-') || names.includes(word)) return
  throw new UserError(`there is no command "${word}".${suggest(word, names)}`)
}

// A reader that has seen enough, such as head, closes the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(code)
})

try {
  const main = program()
  checkCommand(main, process.argv[2])
  await main.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) code = error.exitCode === 0 ? EXIT.OK : EXIT.USAGE
  else if (error instanceof UserError) {
    process.stderr.write(`${wrapLines(error.message)}\n`)
    code = EXIT.USAGE
  } else {
    process.stderr.write(`a bug in restrictedmem, please report it:\n${(error as Error).stack}\n`)
    code = EXIT.BUG
  }
}
process.exitCode = code
