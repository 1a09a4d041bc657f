/** The two commands that read C: loaded when they are asked for, since they need the compiler. */
import { type Command, InvalidArgumentError, Option } from 'commander'

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}

function workers(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('a whole number is wanted.')
  return Number(text)
}

/** Add `review` and `fidelity`; `end` is told the exit code. */
export function addPatchCommands(main: Command, end: (code: number) => void): void {
  main
    .command('review <mail>')
    .description('judge a kernel patch as it came from the list')
    .option('--linux <tree>', 'the kernel tree that the patch applies to; without it, hunks alone')
    .option('--base <design>', 'the design that it changes; auto finds the nearest', 'auto')
    .option('--reverse', 'judge what taking the patch back does')
    .option('--assume <f: value|…>', 'what an unknown function returns (repeatable)', collect, [])
    .option('--out <folder>', 'keep the design that it makes; findings then have tokens')
    .option('--workers <n>', 'worker threads', workers)
    .option('--no-cache', 'calibrate again what an earlier run has')
    .addOption(
      new Option('--format <format>', 'mail: a reply of at most 72 columns')
        .choices(['text', 'mail', 'json'])
        .default('text'),
    )
    .action(async (mail: string, flags) => {
      const { review } = await import('./review.js')
      end(await review(mail, flags))
    })
  main
    .command('fidelity')
    .description("hold the model's functions to the C of a kernel tree")
    .requiredOption('--linux <tree>', 'the kernel tree')
    .option('--function <name>', 'only this function (repeatable)', collect, [])
    .option('-d, --design <id>', 'whose functions (repeatable); upm and gmem-6.18', collect, [])
    .option('--changed-since <version>', 'whose body is not that of a version; or: cited')
    .option('--workers <n>', 'worker threads', workers)
    .option('--no-cache', 'run again what an earlier run has compared')
    .option('--json', 'print JSON')
    .action(async (flags) => {
      const { fidelityTree } = await import('./fidelity-tree.js')
      end(await fidelityTree(flags))
    })
}
