/** The recorded run of the real 6.2.1 kernel, replayed on the model row by row. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Design } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import { after } from './aftermath.js'
import { e6Compaction, e6Pin } from './compaction.js'
import { crash, mfa, mfc, mft, mftdx } from './failure.js'
import { mainInterface } from './main-interface.js'
import { mainMoves } from './main-moves.js'
import { mainPages } from './main-pages.js'
import { mainRanges } from './main-ranges.js'
import { mainSeals } from './main-seals.js'
import { mainWindows } from './main-windows.js'
import { unusedReasons } from './not-expressible.js'
import { fstatbug, mincore } from './oddities.js'
import { e6Offline } from './offline.js'
import { errcb, race1, race2 } from './races.js'
import { type Boot, boots, recording } from './recording.js'
import { Replay } from './replay.js'
import { conc, mfstress } from './storms.js'
import { withListGetattr, withTdxWalk } from './toggles.js'

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
  after,
  race1,
  race2,
  errcb,
  offline: e6Offline,
  fstatbug,
  mincore,
  conc,
  mfstress,
  mfc,
}

/** The design of a recorded flavour, with what was switched on in that boot. */
function designOf({ k, g }: Boot): Design {
  const id = k.replace(/ .*/, '')
  const design = DESIGNS.find((d) => d.id === id)
  if (design === undefined) throw new Error(`there is no design ${id}`)
  if (g === 'mftdx') return withTdxWalk(design)
  return g === 'fstatbug' ? withListGetattr(design) : design
}

const counts = { replayed: 0, searched: 0, listed: 0 }

describe('the recorded run of 6.2.1', () => {
  for (const boot of boots) {
    test(`${boot.g} on ${boot.k}`, () => {
      const script = SCRIPTS[boot.g]
      assert.ok(script !== undefined, `there is no script for ${boot.g}`)
      const replay = new Replay(boot, designOf(boot))
      script(replay)
      replay.end()
      counts.replayed += replay.replayed
      counts.searched += replay.searches
      counts.listed += replay.listed
    })
  }

  test('every row is replayed, searched for, or listed with a reason', (t) => {
    const { replayed, searched, listed } = counts
    t.diagnostic(`${replayed} replayed, ${searched} searched, ${listed} not expressible`)
    assert.equal(replayed + searched + listed, recording.length)
  })

  test('no reason is left over', () => {
    assert.deepEqual(unusedReasons(), [])
  })
})
