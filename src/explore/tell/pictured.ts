/** A replay with a picture of memory before its first step and after each. */
import type { Move } from '../../cell/schedule.js'
import type { Design } from '../../designs/design.js'
import type { Scenario } from '../../litmus/scenario.js'
import type { Mode } from '../../machine/machine.js'
import { Naming } from '../../picture/naming.js'
import { Painter } from '../../picture/painter.js'
import type { Picture, Pictured } from '../../trace/memory.js'
import { type Replayed, replayScenario } from './replay.js'

export interface Shown extends Replayed {
  readonly pictured: Pictured
}

/** Follow a schedule, `onward` to the end of everything, and look at memory all the way. */
export function replayPictured(
  scenario: Scenario,
  design: Design,
  schedule: readonly Move[],
  mode: Mode,
  onward: boolean,
): Shown {
  const naming = new Naming(scenario)
  const painter = new Painter(design, naming)
  const pictures: Picture[] = []
  const look = (): void => {
    pictures.push(painter.take())
  }
  const replayed = replayScenario(scenario, design, schedule, mode, { look, onward })
  return { ...replayed, pictured: { pictures, names: naming.names } }
}
