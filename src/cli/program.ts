/** What can be said on the command line. What a command needs is loaded when it runs. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { UserError } from '../app/error.js'
import { CODE } from '../app/host/package.js'
import { MACHINES } from '../hosts/host.js'
import { suggest } from '../litmus/error.js'
import { formatNames } from '../report/host/formats.js'
import type { CheckFlags, ConformFlags, LabFlags, ReplayFlags } from './flags.js'
import { LISTS } from './lists.js'
import { optimiseLate } from './optimise.js'
import { addPatchCommands } from './patch-commands.js'
import { addSpreadCommands, withQueueOptions, withSpreadOptions } from './spread.js'
import { out, widthOf } from './terminal.js'

function count(text: string): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number
  throw new InvalidArgumentError('a whole number is wanted.')
}

function positive(text: string): number {
  if (count(text) > 0) return count(text)
  throw new InvalidArgumentError('a whole number from 1 is wanted.')
}

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}

function withCheckOptions(command: Command): Command {
  const short = (name: string, what: string): Option =>
    new Option(`--${name}`, what).implies({ format: name })
  return withSpreadOptions(command)
    .option('-d, --design <id|file.ts>', 'design to check (repeatable)', collect, [])
    .addOption(
      new Option('--host <machine>', 'on a machine that protects guests: what is about it').choices(
        MACHINES,
      ),
    )
    .option('--bound <n>', 'at most n preemptions instead of all', count)
    .option('--exhaustive', 'every interleaving (the default)')
    .addOption(
      new Option('--find', 'stop at the first finding; bound after bound').conflicts('exhaustive'),
    )
    .addOption(
      new Option('--exact', 'compare whole states, not fingerprints').conflicts(['bound', 'find']),
    )
    .option('--time <s>', 'seconds for each cell', count)
    .option('--memory <MiB>', 'memory for the states of each cell', positive)
    .addOption(
      new Option('--checkpoint <file>', 'save to it, and go on from it, if it exists').conflicts([
        'bound',
        'find',
        'exact',
      ]),
    )
    .option('--no-cache', 'check again what an earlier run has finished')
    .option('--workers <n>', 'worker threads; several may share one cell', positive)
    .addOption(
      new Option('--sample <n>', 'n random executions of each cell instead of all')
        .argParser(positive)
        .conflicts(['bound', 'exhaustive', 'cross']),
    )
    .option('--seed <n>', 'for --sample: another seed, other executions (default: 1)', count)
    .option(
      '--cross [n]',
      'ask a second, stateless search, for n executions at most, and SPIN if it is installed',
      positive,
    )
    .option('--undeclared', 'judge also whether built-in designs announce what they touch')
    .option('--promela <file.pml>', 'write the cell as a model for SPIN, and file.c with it')
    .option('--format <name>', `how to print it: ${formatNames().join(', ')} (default: text)`)
    .addOption(short('json', 'the same as --format json'))
    .addOption(short('ktap', 'the same as --format ktap'))
}

async function runCheck(names: string[], flags: Partial<CheckFlags>): Promise<number> {
  optimiseLate()
  const { check } = await import('./check.js')
  const { format = 'text', design = [], cache = true, patience = 60 } = flags
  return check(names, { ...flags, format, design, cache, patience })
}

/** The program; `end` is told what a command ends with. */
export function program(end: (code: number) => void): Command {
  const main = new Command('restrictedmem')
    .description("Linux's guest-private memory as a program: every interleaving, judged.")
    .version(CODE.version)
    .exitOverride()
    .showSuggestionAfterError(true)
    .enablePositionalOptions()
    .addHelpText('before', examples)
  withCheckOptions(main).action(async () => end(await runCheck([], main.opts())))
  withCheckOptions(
    main
      .command('check [scenario...]')
      .description('check scenarios (names, areas, files, - for the standard input) on designs'),
  ).action(async (names: string[], flags: CheckFlags) => {
    const design = [...main.opts<CheckFlags>().design, ...flags.design]
    end(await runCheck(names, { ...main.opts(), ...flags, design }))
  })
  main
    .command('replay <token...>')
    .description('run a finding again; - reads the token from the standard input')
    .option('--on <design>', 'the same schedule on another design')
    .addOption(
      new Option('--view <view>', 'how to show it; litmus: the smallest scenario with the finding')
        .choices(['columns', 'splat', 'list', 'memory', 'litmus'])
        .default('columns'),
    )
    .option('--json', 'every step as JSON')
    .option('--direct', 'run the generators as written instead of lowered code')
    .option('--file <litmus>', 'where the scenario is, if it is not built in')
    .option('--design <file.ts>', 'where the design is, if it is not built in')
    .action(async (token: string[], flags: ReplayFlags) => {
      optimiseLate()
      const { replay } = await import('./replay.js')
      end(await replay(token.join(''), flags))
    })
  main
    .command('thread')
    .description('what the mailing list argued about, host by host, from cells checked now')
    .option('--tokens', 'also how to replay each finding')
    .action(async ({ tokens = false }: { tokens?: boolean }) => {
      const { thread } = await import('./thread.js')
      end(await thread(tokens))
    })
  main
    .command('list [what]')
    .description(`list ${LISTS.join(', ')}`)
    .action(async (what = 'scenarios') => {
      const { list } = await import('./list.js')
      out(list(what, widthOf(process.stdout)))
    })
  main
    .command('explain <word>')
    // An errno has a minus in a report.
    .allowUnknownOption()
    .description('say what a word of a report, a design, an operation, an errno or a token is')
    .action(async (word: string) => {
      const { explain } = await import('./explain.js')
      out(await explain(word, widthOf(process.stdout)))
    })
  main
    .command('lab [what]')
    .description('the page: a matrix, findings step by step, an editor; or a token, or a file')
    .option('--port <n>', 'port of the loopback address (default: any)', count, 0)
    .option('--no-open', 'print the address, and open no browser')
    .option('--out <dir>', 'write a folder for a static host instead')
    .option('--single <file.html>', 'write one file that works without a server')
    .addOption(
      new Option('--queue <url>', 'show what runs on a queue').conflicts(['out', 'single']),
    )
    .action(async (what: string | undefined, flags: LabFlags) => {
      const { lab } = await import('./lab.js')
      end(await lab(what, flags))
    })
  withQueueOptions(main.command('conform'), ['record', 'transcript', 'guest', 'qemu'])
    .description('compare the model with a real kernel, call by call')
    .option('--transcript <file>', 'a recording (repeatable); all built-in ones', collect, [])
    .option('--live', 'random programs on the running kernel')
    .option('--family <name>', 'with --live: one kind of programs (repeatable)', collect, [])
    .option('--seed <n>', 'with --live: the first seed', count, 1)
    .option('--count <n>', 'with --live: programs for each family', count, 1000)
    .option('--record <file>', 'with --live: write what the kernel answered')
    .option('--ktap', 'with --live: print KTAP')
    .option('--guest', 'what a real guest sees of guest_memfd on the running kernel')
    .option('--qemu <deb>', "programs that break memory, on Debian's kernel in QEMU")
    .option('--probe', 'say what the running kernel offers')
    .option('--all', 'show every program that differs')
    .action(async (flags: ConformFlags) => {
      const { conform } = await import('./conform.js')
      end(await conform(flags))
    })
  addSpreadCommands(main, end)
  addPatchCommands(main, end)
  main
    .command('completion')
    .description('words for the shell: eval "$(restrictedmem completion)"')
    .action(async () => {
      const { completion } = await import('./completion.js')
      out(completion(main))
    })
  return main
}

const examples = `Examples:
  restrictedmem                                   the built-in matrix
  restrictedmem check punch/punch-vs-guest-fault  one scenario, all designs
  restrictedmem check -d ./mine.ts my.litmus      your design, your scenario
`

/**
 * The first word must be a command; commander would call it one argument too many.
 *
 * @throws UserError
 */
export function checkCommand(main: Command, word: string | undefined): void {
  const names = [...main.commands.map((c) => c.name()), 'help']
  if (word === undefined || word.startsWith('-') || names.includes(word)) return
  throw new UserError(`there is no command "${word}".${suggest(word, names)}`)
}
