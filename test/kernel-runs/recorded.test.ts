/** The recorded run of the real 6.2.1 kernel, replayed on the model row by row. */
import { describe, test } from 'node:test'
import type { Design } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import { e6Compaction, e6Pin } from './compaction.js'
import { crash, mfa, mfc, mft, mftdx } from './failure.js'
import { mainInterface } from './main-interface.js'
import { mainMoves } from './main-moves.js'
import { mainPages } from './main-pages.js'
import { mainRanges } from './main-ranges.js'
import { mainSeals } from './main-seals.js'
import { mainWindows } from './main-windows.js'
import { type Boot, boots } from './recording.js'
import { Replay } from './replay.js'
import { withTdxWalk } from './toggles.js'

type Script = (r: Replay) => void

const SCRIPTS: Readonly<Record<string, Script>> = {
  main: (r) => {
    mainInterface(r)
    mainRanges(r)
    mainPages(r)
    mainMoves(r, e6Compaction)
    mainSeals(r)
    mainWindows(r)
  },
  pin: e6Pin,
  nopin: e6Pin,
  mft,
  mfr: crash,
  mfrd: crash,
  mftdx,
  mfa,
  mfc,
}

/** The design of a recorded flavour, with what was switched on in that boot. */
function designOf({ k, g }: Boot): Design {
  const id = k.replace(/ .*/, '')
  const design = DESIGNS.find((d) => d.id === id)
  if (design === undefined) throw new Error(`there is no design ${id}`)
  return g === 'mftdx' ? withTdxWalk(design) : design
}

let replayed = 0
let listed = 0

describe('the recorded run of 6.2.1', () => {
  for (const boot of boots.filter(({ g }) => g in SCRIPTS)) {
    test(`${boot.g} on ${boot.k}`, () => {
      const replay = new Replay(boot, designOf(boot))
      SCRIPTS[boot.g]?.(replay)
      replay.end()
      replayed += replay.replayed
      listed += replay.listed
    })
  }

  test('every row is replayed or listed', (t) => {
    t.diagnostic(`${replayed} replayed, ${listed} not expressible`)
  })
})
