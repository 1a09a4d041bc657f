/** Completion for bash and zsh, from the commands and options as they are declared. */
import type { Command } from 'commander'
import { builtInFiles, nameOf } from '../app/host/files.js'
import { formatNames } from './formats.js'
import { LISTS } from './lists.js'

function optionsOf(command: Command): string[] {
  return command.options.flatMap((o) => [o.long, o.short].filter((name) => name !== undefined))
}

/** A script for the shell to evaluate. */
export function completion(main: Command): string {
  const cases = main.commands.map((c) => {
    const own = c.name() === 'check' ? builtInFiles().map(nameOf) : []
    const words = [...optionsOf(c), ...own, ...(c.name() === 'list' ? LISTS : [])]
    return `    ${c.name()}) words='${words.join(' ')}' ;;`
  })
  const top = [...main.commands.map((c) => c.name()), ...optionsOf(main)].join(' ')
  return `if [ -n "$ZSH_VERSION" ]; then autoload -U +X bashcompinit && bashcompinit; fi
_restrictedmem() {
  local words
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    *) words='' ;;
  esac
  if [ "$COMP_CWORD" -le 1 ]; then words='${top}'; fi
  if [ "\${COMP_WORDS[COMP_CWORD-1]}" = --format ]; then words='${formatNames().join(' ')}'; fi
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _restrictedmem restrictedmem`
}
