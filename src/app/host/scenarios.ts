/** Scenarios by name or by path. */
import { LitmusError } from '../../litmus/error.js'
import { readScenario } from '../../litmus/scenario.js'
import { UserError } from '../error.js'
import { knownNames } from '../known.js'
import type { ScenarioFile } from '../results.js'
import { builtInFiles, filesOf, hostFiles, isBuiltIn, readText } from './files.js'

/** All scenarios that come with the project. */
export function builtInScenarios(designs: readonly string[] = []): ScenarioFile[] {
  return readScenarios(builtInFiles(), designs)
}

/** All scenarios about hosts. */
export function hostScenarios(designs: readonly string[] = []): ScenarioFile[] {
  return readScenarios(hostFiles(), designs)
}

/**
 * Read and bind scenarios by path, name or area; `-` is the standard input. `designs` are names
 * that they may use besides those of the built-in ones.
 *
 * @throws UserError
 */
export function readScenarios(
  names: readonly string[],
  designs: readonly string[] = [],
): ScenarioFile[] {
  const known = knownNames(designs)
  const paths = [...new Set(names.flatMap(filesOf))]
  const files = paths.map((path) => {
    const text = readText(path)
    try {
      return { path, builtIn: isBuiltIn(path), text, scenario: readScenario(text, known) }
    } catch (error) {
      if (!(error instanceof LitmusError)) throw error
      throw new UserError(`${path}:${error.line}:${error.column}: ${error.message}`)
    }
  })
  return files.filter((f, i) => isNew(f, files.slice(0, i)))
}

/** The same text under two paths is one scenario; two of one name can't be told apart. */
function isNew(file: ScenarioFile, before: readonly ScenarioFile[]): boolean {
  const same = before.find((f) => f.scenario.name === file.scenario.name)
  if (same === undefined) return true
  if (same.text === file.text) return false
  throw new UserError(
    `${same.path} and ${file.path} are two scenarios called "${file.scenario.name}"`,
  )
}
