/**
 * Calls one after the other in one task, with nobody else in the machine: no scheduler and no
 * choice, so nothing is asked at an announcement but whether it could be waited for. Code runs
 * straight through, or in frames for who wants to see its calls and returns. The machine can be set
 * back to where the series began.
 */
import { undoMark, undoTo } from './arena.js'
import { blobMark, forgetBlobs } from './blob.js'
import { isEnabled } from './effects.js'
import { asNullDereference, KernelFault, takeRemarks } from './fault.js'
import type { FnTag } from './fn.js'
import { lastResult, runFrames, startFrames } from './frames.js'
import { bootNumber, load, mustBeOf } from './machine.js'
import { straightOf } from './straight.js'
import { setCurrent, type Task, taskNumber } from './task.js'

/** The kernel did what no kernel should: the id of the finding. */
export class Misbehaviour extends Error {
  readonly id: string

  constructor(id: string, message: string) {
    super(message)
    this.id = id
  }
}

/** A series of calls on a kernel that has booted. */
export class Alone {
  /** Run in frames, so that calls and returns can be watched. */
  inFrames = false
  readonly #exitWork: FnTag
  readonly #mark: number
  readonly #blobs: number
  readonly #boot = bootNumber()

  /** `exitWork` runs on the way back to user mode when task work is queued. */
  constructor(exitWork: FnTag) {
    load({ tasks: [{ name: 'task', operations: [] }], faults: 0 })
    this.#exitWork = exitWork
    this.#mark = undoMark()
    this.#blobs = blobMark()
  }

  /**
   * Make a call and return what it returns.
   *
   * @throws Misbehaviour, or LimitError if another machine has been booted meanwhile.
   */
  call(f: FnTag, ...args: readonly unknown[]): unknown {
    mustBeOf(this.#boot)
    const task = taskNumber(0)
    setCurrent(task)
    try {
      const result = this.#runToEnd(task, f, args)
      while (task.workCount > 0) this.#runToEnd(task, this.#exitWork, [])
      const [remark] = takeRemarks()
      if (remark !== undefined) throw new Misbehaviour(remark.id, remark.message)
      return result
    } catch (error) {
      const fault = error instanceof KernelFault ? error : asNullDereference(error)
      throw fault === undefined ? error : new Misbehaviour(fault.id, fault.message)
    } finally {
      setCurrent(undefined)
    }
  }

  #runToEnd(task: Task, f: FnTag, args: readonly unknown[]): unknown {
    if (!this.inFrames) return straightOf(f)(...args)
    startFrames(f, args)
    while (!runFrames(0, false)) {
      if (!isEnabled(task.pending)) throw new Misbehaviour('deadlock', `${f.cName} never returns`)
    }
    return lastResult()
  }

  /** Set the machine back to where the series began. */
  rewind(): void {
    mustBeOf(this.#boot)
    takeRemarks()
    undoTo(this.#mark)
    forgetBlobs(this.#blobs)
  }
}
