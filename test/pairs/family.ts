/** Every call of a set-up alone, and every two beside each other, as scenarios. */
import { knownNames } from '../../src/app/known.js'
import type { ScenarioFile } from '../../src/app/results.js'
import { readScenario } from '../../src/litmus/scenario.js'
import { SETUPS, type Setup } from './setups.js'

/** Names of one or two actors of a set-up, in the order of its list; two may be the same. */
export interface Case {
  readonly setup: Setup
  readonly actors: readonly string[]
}

function casesOf(setup: Setup): Case[] {
  const names = Object.keys(setup.actors)
  const alone = names.map((n) => ({ setup, actors: [n] }))
  const pairs = names.flatMap((a, i) => names.slice(i).map((b) => ({ setup, actors: [a, b] })))
  return [...alone, ...pairs]
}

export const ALL_CASES: readonly Case[] = SETUPS.flatMap(casesOf)

/** How the list of findings calls it: `migrate + guest_read`. */
export function caseText({ actors }: Case): string {
  return actors.join(' + ')
}

function indented(lines: readonly string[]): string {
  return lines.map((l) => `  ${l}`).join('\n')
}

/** The scenario, without an expectation. */
export function scenarioOf(c: Case): ScenarioFile {
  const { setup, actors } = c
  const name = `pairs/${setup.name}-${actors.join('-')}`
  const tasks = actors.map((a, i) => `task ${'ab'[i]}\n${indented(setup.actors[a] ?? [])}\n`)
  const text = `litmus ${name}
"${setup.about}: ${actors.join(' beside ')}"

setup
${indented(setup.lines)}

${tasks.join('\n')}`
  const scenario = readScenario(text, knownNames())
  return { path: name, builtIn: false, text, scenario }
}
