/** Completion for bash and zsh, from the commands and options as they are declared. */
import type { Command } from 'commander'
import { nameOf, packagedFiles } from '../app/host/files.js'
import { MACHINES } from '../hosts/host.js'
import { formatNames } from '../report/host/formats.js'
import { builtLists } from './list.js'
import { LISTS } from './lists.js'

function optionsOf(command: Command): string[] {
  return command.options.flatMap((o) => [o.long, o.short].filter((name) => name !== undefined))
}

/** A script for the shell to evaluate. */
export function completion(main: Command): string {
  const built = builtLists()
  const namesOf = (list: keyof typeof built): string[] => built[list].map(({ name }) => name)
  const scenarios = packagedFiles().map(nameOf)
  const own: Readonly<Record<string, readonly string[]>> = {
    check: scenarios,
    list: LISTS,
    explain: [...scenarios, ...namesOf('findings'), ...namesOf('marks'), ...namesOf('constants')],
  }
  const cases = main.commands.map((c) => {
    const words = [...optionsOf(c), ...(own[c.name()] ?? [])]
    return `    ${c.name()}) words='${words.join(' ')}' ;;`
  })
  const after = [
    ['--format', formatNames()],
    ['-d | --design | --on', namesOf('designs')],
    ['--host', MACHINES],
  ] as const
  const values = after.map(([option, words]) => `    ${option}) words='${words.join(' ')}' ;;`)
  const top = [...main.commands.map((c) => c.name()), ...optionsOf(main)].join(' ')
  return `if [ -n "$ZSH_VERSION" ]; then autoload -U +X bashcompinit && bashcompinit; fi
_restrictedmem() {
  local words
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    *) words='' ;;
  esac
  if [ "$COMP_CWORD" -le 1 ]; then words='${top}'; fi
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
${values.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _restrictedmem restrictedmem`
}
