/**
 * The table of calls for the second kernel's program, in C: what takes its arguments as programs
 * write them is a row, the rest has code in `init.c`.
 */
import type { Kind } from '../../calls/call.js'
import { PROGRAM_CALLS, programParameters } from '../../calls/table.js'

/** How `init.c` takes an argument: a file, a map, bytes within it, a length there, a number. */
const LETTERS: Readonly<Record<Kind, string>> = {
  file: 'f',
  vm: '',
  number: 'n',
  bytes: 'n',
  count: 'n',
  address: 'm',
  offset: 'o',
  length: 'l',
}

/** The text of `calls.h`. */
export function callsHeader(): string {
  const rows = [...PROGRAM_CALLS].flatMap(([name, row]) => {
    const nr = row.program?.nr
    if (nr === undefined) return []
    const letters = programParameters(row).map((p) => LETTERS[p.of.kind])
    const makes = row.program?.makes === 'file' ? 1 : 0
    const ends = row.program?.ends === 'map' ? 1 : 0
    return [`\t{ "${name}", ${nr}, "${letters.join('')}", ${makes}, ${ends} },`]
  })
  return [
    '/* Generated from the table of calls. */',
    'static const struct call {',
    '\tconst char *name;',
    '\tlong nr;',
    '\t/* file, map, offset in it, length from there, number: as programs write them */',
    '\tconst char *arguments;',
    '\tint makes_file, ends_map;',
    '} calls[] = {',
    ...rows,
    '};',
    '',
  ].join('\n')
}
