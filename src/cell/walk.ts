/** Depth first through everything that can follow, without recursion: executions may be long. */
import type { Execution } from './execution.js'
import type { Move } from './schedule.js'

export interface Walker {
  /** Which moves are tried from the present state, in order; all by default. */
  choose?(moves: readonly Move[]): readonly Move[]
  /** A move is about to be made. */
  leaving?(move: Move): void
  /** A move has been made: go on from there, come back, or stop for good? */
  arrived(move: Move): 'on' | 'back' | 'stop'
  /** The move has been taken back. */
  returned?(move: Move): void
}

/** Walk from the present state and back to it. False if the walker stopped it. */
export function walk(run: Execution, walker: Walker): boolean {
  const root = run.depth
  const untried = (): Move[] => [...(walker.choose?.(run.moves()) ?? run.moves())].reverse()
  const stack = [{ untried: untried(), came: undefined as Move | undefined }]
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const move = top.untried.pop()
    if (move === undefined) {
      stack.pop()
      if (top.came === undefined) continue
      run.back()
      walker.returned?.(top.came)
      continue
    }
    walker.leaving?.(move)
    run.take(move.task, move.choice)
    const then = walker.arrived(move)
    if (then === 'on') stack.push({ untried: untried(), came: move })
    else if (then === 'back') {
      run.back()
      walker.returned?.(move)
    } else {
      run.backTo(root)
      return false
    }
  }
  return true
}
