/**
 * The package for programs: check scenarios on designs, see what was found, and tell it. Nothing is
 * printed. `docs/api.md` has an example.
 */

export type { Move } from '../../cell/schedule.js'
export type { Hindsight } from '../../explore/tell/hindsight.js'
export type { Trace, TraceStep } from '../../trace/events.js'
export type { Limits, Question } from '../ask.js'
export { UserError } from '../error.js'
export type { CellResult, LoadedDesign, Progress, Results, ScenarioFile } from '../results.js'
export { type Story, tell, tokenOf } from '../story.js'
export type { Finding, Outcome, Proof, Verdict, VerdictWord } from '../verdict.js'
export {
  builtInDesigns,
  resolveDesign as loadDesign,
  resolveDesigns as loadDesigns,
} from './designs.js'
export { type CheckRequest, check } from './run.js'
export { builtInScenarios, readScenarios as loadScenarios } from './scenarios.js'
