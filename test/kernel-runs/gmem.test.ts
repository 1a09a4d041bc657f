/** The recorded run of the real 6.18.2 kernel, replayed on the model row by row. */
import { describe, test } from 'node:test'
import { gmem618 } from '../../src/designs/gmem.js'
import { experiment4 } from './gmem-content.js'
import { Host } from './gmem-host.js'
import { experiment1, experiment2, experiment3 } from './gmem-interface.js'
import { Rows } from './gmem-recording.js'

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
})
