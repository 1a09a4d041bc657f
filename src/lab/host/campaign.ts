/** A campaign for the page: what runs on a queue, or what `queue status --json` has written. */
import { STATUS_SCHEMA } from '../../app/campaign.js'
import { UserError } from '../../app/error.js'
import { readText } from '../../app/host/files.js'
import { byName, fromJson, NotAsWritten } from '../../app/host/narrow.js'
import { Lookout } from '../../app/host/queue/status.js'
import { readStatus } from '../../app/host/queue/wire.js'
import type { CampaignSeen } from '../protocol.js'

/** Milliseconds that a look is good for, and seconds that the server may be gone for. */
const LOOK = 1500
const PATIENCE = 5

/** A queue, looked at while somebody asks. What was seen last stays when the server is gone. */
export class QueueSeen {
  readonly #url: string
  readonly #patience: number
  #lookout: Lookout | undefined
  #looked = Number.NEGATIVE_INFINITY
  #looking: Promise<void> | undefined
  #seen: CampaignSeen = {}

  constructor(url: string, patience = PATIENCE) {
    this.#url = url
    this.#patience = patience
  }

  /** What was seen last; the next look begins if that was a while ago. */
  now(): CampaignSeen {
    if (this.#looking === undefined && performance.now() - this.#looked > LOOK) {
      // What goes wrong is seen as trouble.
      this.look().catch(() => {})
    }
    return this.#seen
  }

  close(): void {
    this.#lookout?.close()
    this.#lookout = undefined
  }

  /** Look now. @throws UserError only at the first time: nothing was ever seen */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
      this.#looked = performance.now()
    })
    await this.#looking
  }

  async #look(): Promise<void> {
    try {
      const quiet = { patience: this.#patience, onNotice: () => {} }
      this.#lookout ??= await Lookout.open(this.#url, quiet)
      this.#seen = { status: await this.#lookout.look() }
    } catch (error) {
      const isFirst = this.#seen.status === undefined
      this.#seen = { ...this.#seen, trouble: (error as Error).message }
      if (isFirst || !(error instanceof UserError)) throw error
    }
  }
}

const anything = (value: unknown): unknown => value

/** Does the text come from `queue status --json`? */
export function isStatus(text: string): boolean {
  try {
    return fromJson(text, byName(anything), 'status').schema === STATUS_SCHEMA
  } catch (error) {
    if (error instanceof NotAsWritten) return false
    throw error
  }
}

/** The campaign that a file holds, as it is now. @throws UserError if it holds none */
export function statusIn(path: string): CampaignSeen {
  try {
    return { status: fromJson(readText(path), readStatus, path) }
  } catch (error) {
    if (error instanceof NotAsWritten) throw new UserError(error.message)
    throw error
  }
}
