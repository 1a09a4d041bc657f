/** The recorded run of the real 6.18.2 kernel, replayed on the model row by row. */
import { describe, test } from 'node:test'
import { gmem618 } from '../../src/designs/gmem.js'
import { experiment4 } from './gmem-content.js'
import { deadlock } from './gmem-deadlock.js'
import { Host } from './gmem-host.js'
import { experiment1, experiment2, experiment3 } from './gmem-interface.js'
import { experiment5, experiment5s } from './gmem-pages.js'
import { gmemBoots, Rows } from './gmem-recording.js'
import { toggle } from './gmem-toggle.js'

describe('the recorded run of 6.18.2', () => {
  test('main', () => {
    const rows = new Rows('main')
    const host = new Host(gmem618)
    experiment1(host, rows)
    experiment2(host, rows)
    experiment3(host, rows)
    experiment4(host, rows)
    rows.end()
  })

  test('memory failure', () => {
    const rows = new Rows('memory-failure')
    experiment5(new Host(gmem618), rows)
    rows.end()
  })

  test('soft offline and migration', () => {
    const rows = new Rows('soft-offline+migration')
    experiment5s(new Host(gmem618), rows)
    rows.end()
  })

  for (const boot of gmemBoots.filter((name) => name.startsWith('deadlock'))) {
    test(boot, () => {
      const rows = new Rows(boot)
      deadlock(() => new Host(gmem618), rows, boot.startsWith('deadlock B'))
      rows.end()
    })
  }

  for (const boot of gmemBoots.filter((name) => name.startsWith('toggle'))) {
    test(boot, () => {
      const rows = new Rows(boot)
      toggle(new Host(gmem618), rows, boot.includes('SW_PROTECTED') ? 1 : 0)
      rows.end()
    })
  }
})
