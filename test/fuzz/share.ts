/** A thread that searches its share of one cell after the other. */
import { parentPort } from 'node:worker_threads'
import { exploreShare, type ShareResult } from '../../src/app/shares.js'
import type { Share } from '../../src/explore/states/shared.js'
import { pairOf } from './cells.js'

export interface ShareJob {
  readonly text: string
  readonly design: string
  readonly share: Share
}

const EFFORT = { keepGoing: () => true, now: () => 0 }

parentPort?.on('message', ({ text, design, share }: ShareJob) => {
  const { scenario, design: own } = pairOf(text, design)
  const result: ShareResult | undefined = exploreShare(scenario, own, EFFORT, share)
  parentPort?.postMessage(result)
})
