/** A worker that is killed: `victim.js url`. Says when it is ready. */
import { serve } from '../../src/app/host/queue/serve.js'
import { SERVE, SQUARES } from './echo.js'

const [url = ''] = process.argv.slice(2)
const { signal } = new AbortController()
const onReady = (): void => {
  process.stdout.write('ready\n')
}
await serve(SQUARES, { ...SERVE, url, signal, onReady })
