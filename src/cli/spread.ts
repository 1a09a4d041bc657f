/** What the command line has for checks on several machines. What runs them is loaded when it runs. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Shard } from '../app/host/shard.js'
import type { StatusFlags } from './queue.js'
import type { WorkerFlags } from './worker.js'

function shard(text: string): Shard {
  const [, number, of] = /^([1-9]\d{0,3})\/([1-9]\d{0,3})$/.exec(text)?.map(Number) ?? []
  if (number !== undefined && of !== undefined && number <= of) return { number, of }
  throw new InvalidArgumentError('k/n is wanted, with k from 1 to n, such as 1/4.')
}

function seconds(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('a whole number from 1 is wanted.')
}

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}

/** What a check has, to be one of several. */
export function withSpreadOptions(command: Command): Command {
  const alone = ['checkpoint', 'promela', 'shard', 'workers']
  return withQueueOptions(command, alone)
    .addOption(
      new Option('--shard <k/n>', 'only part k of n; `merge` prints what all parts say')
        .argParser(shard)
        .conflicts(['checkpoint', 'promela']),
    )
    .option('--result <file>', 'with --shard: where it goes (default: shard-<k>-of-<n>.json)')
}

/** What is asked by way of a queue; not with the options that are `alone`. */
export function withQueueOptions(command: Command, alone: string[]): Command {
  return command
    .addOption(
      new Option('--queue <url>', 'have workers answer, by way of a Redis server').conflicts(alone),
    )
    .option('--patience <s>', 'with --queue: seconds that the server may be gone for', seconds, 60)
}

/** Add `merge`, `worker` and `queue`; `end` is told the exit code. */
export function addSpreadCommands(main: Command, end: (code: number) => void): void {
  main
    .command('merge <file...>')
    .description('print what the shards of a check say together, as one check would')
    .option('-d, --design <file.ts>', 'where a design of yours is (repeatable)', collect, [])
    .option('--format <name>', 'another format than the shards were asked for')
    .action(async (files: string[], flags: { design: string[]; format?: string }) => {
      const { merge } = await import('./merge.js')
      end(await merge(files, flags))
    })
  main
    .command('worker')
    .description('answer what checks ask on a queue, until it is interrupted')
    .requiredOption('--queue <url>', 'the Redis server: redis://host, or with TLS rediss://host')
    .option('--workers <n>', 'cells at a time (default: one for each processor)', seconds)
    .option(
      '--lost-after <s>',
      'seconds after which the job of a dead worker is done again',
      seconds,
      30,
    )
    .option('--patience <s>', 'seconds that the server may be gone for', seconds, 60)
    .option('--slice <s>', 'seconds after which a large cell is handed on', seconds, 60)
    .option('--live', "run also programs of `conform --live`, on this machine's kernel")
    .option('--allow-designs', 'run designs that others send: their code may do all that you may')
    .action(async (flags: WorkerFlags) => {
      const { worker } = await import('./worker.js')
      end(await worker(flags))
    })
  main
    .command('queue')
    .description('what runs on a queue')
    .command('status')
    .description('runs, workers, what was found and what is left')
    .requiredOption('--queue <url>', 'the Redis server')
    .option('--patience <s>', 'seconds that the server may be gone for', seconds, 5)
    .option('--json', 'print JSON')
    .action(async (flags: StatusFlags) => {
      const { queueStatus } = await import('./queue.js')
      end(await queueStatus(flags))
    })
}
