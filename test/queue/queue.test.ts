/**
 * Checks by way of a queue: what one machine says, whatever happens to workers, network and server
 * on the way. With a real server, which the tests start; without one on this machine they are
 * skipped.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Part, type RunStatus, STATUS_SCHEMA } from '../../src/app/campaign.js'
import { UserError } from '../../src/app/error.js'
import { loadDesign, resolveDesigns } from '../../src/app/host/designs.js'
import { packagedFile } from '../../src/app/host/package.js'
import { type Asked, type AskOptions, askAll } from '../../src/app/host/queue/ask.js'
import { answerOnQueue } from '../../src/app/host/queue/cell-answer.js'
import { CELLS } from '../../src/app/host/queue/cells.js'
import { Line, labelOf, packages } from '../../src/app/host/queue/line.js'
import { type ServeOptions, serve } from '../../src/app/host/queue/serve.js'
import { storeSnapshot } from '../../src/app/host/queue/snapshots.js'
import { statusOf } from '../../src/app/host/queue/status.js'
import {
  answered,
  envelope,
  jobId,
  KEYS,
  PREFIX,
  queueName,
} from '../../src/app/host/queue/wire.js'
import { check } from '../../src/app/host/run.js'
import { readScenarios } from '../../src/app/host/scenarios.js'
import type { LoadedDesign } from '../../src/app/results.js'
import { ASK, SERVE, SLICED, SQUARES } from './echo.js'
import { Network, NO_SERVER, RedisServer } from './server.js'

const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-queue-'))
after(() => rmSync(folder, { recursive: true, force: true }))
process.env.XDG_CACHE_HOME = folder

const NEVER = new AbortController().signal
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const KILLS = 3
/** Jobs that are asked while workers are killed. */
const ALL = 100

/** The numbers below `n`. */
const below = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const squares = (n: number): number[] => below(n).map((i) => i * i)

test('a URL is told without user and password, and must be one of a server', () => {
  assert.equal(labelOf('rediss://me:secret@host/2'), 'rediss://host:6379')
  for (const url of ['host', 'http://me:secret@host', 'redis://']) {
    assert.throws(
      () => labelOf(url),
      (e) => e instanceof UserError && !e.message.includes('secret'),
    )
  }
})

describe('on a queue', { skip: NO_SERVER ?? false }, () => {
  let server: RedisServer
  before(async () => {
    server = await RedisServer.start()
  })
  after(() => server.end())

  test('workers that end at the same moment all end, and leave nothing', async () => {
    const { redis } = await Line.open(server.url, ASK)
    for (let round = 0; round < 8; round++) {
      const end = new AbortController()
      let ready = 0
      const all = below(4).map(() =>
        serve(SQUARES, {
          ...SERVE,
          url: server.url,
          signal: end.signal,
          onReady: () => {
            if (++ready === 4) end.abort()
          },
        }),
      )
      await Promise.all(all)
      assert.deepEqual(await redis.keys('*'), [])
    }
    redis.disconnect()
  })

  /** Ask while a worker serves in this process. */
  async function withWorker<T>(
    act: () => Promise<T>,
    more: Partial<ServeOptions> = {},
    kind: Parameters<typeof serve>[0] = SQUARES,
  ): Promise<T> {
    const end = new AbortController()
    let served: Promise<unknown> = Promise.resolve()
    const ready = new Promise<void>((resolve) => {
      const usual = { ...SERVE, url: server.url, signal: end.signal, onReady: () => resolve() }
      served = serve(kind, { ...usual, ...more })
    })
    try {
      await Promise.race([ready, served])
      return await act()
    } finally {
      end.abort()
      await served
    }
  }

  /** What happens when so many answers are there. */
  function whenTaken(answers: number): { onAnswer(): void; readonly there: Promise<void> } {
    let [n, done] = [0, (): void => {}]
    const there = new Promise<void>((resolve) => {
      done = resolve
    })
    return { onAnswer: () => void (++n === answers && done()), there }
  }

  function ask(n: number, more: Partial<AskOptions<number>> = {}): Promise<Asked<number>> {
    return askAll(SQUARES, below(n), new Map(), { ...ASK, url: server.url, signal: NEVER, ...more })
  }

  async function onServer<T>(act: (line: Line) => Promise<T>): Promise<T> {
    const line = await Line.open(server.url, ASK)
    try {
      return await act(line)
    } finally {
      line.close()
    }
  }

  /** Keys on the server but for those that tell of a run for a while, and go by themselves. */
  function left(): Promise<string[]> {
    return onServer(async ({ redis }) => {
      const keys = await redis.keys('*')
      const story = keys.filter((k) => k === KEYS.runs || /:(told|ran):/.test(k))
      for (const key of story) assert.ok((await redis.ttl(key)) > 0, key)
      return keys.filter((k) => !story.includes(k))
    })
  }

  /** The run that goes on. */
  async function running(): Promise<RunStatus | undefined> {
    return (await statusOf(server.url, ASK)).runs.find((r) => r.state === 'running')
  }

  /** The name of a run whose answers are waited for. */
  function anyRun(): Promise<string> {
    return onServer(async ({ redis }) => {
      for (;;) {
        const [key] = await redis.keys(KEYS.run('*'))
        if (key !== undefined) return key.slice(KEYS.run('').length)
      }
    })
  }

  /** Put something into the queue that no asker has asked. */
  async function put(id: string, data: unknown): Promise<void> {
    await onServer(async ({ redis }) => {
      const { Queue } = await packages()
      const queue = new Queue(queueName(SQUARES.name), { connection: redis, prefix: PREFIX })
      await queue.add('squares', data, { jobId: id })
    })
  }

  test('a check says what it says on one machine, and leaves nothing on the server', async () => {
    const designs = await resolveDesigns(['v10', 'gmem-6.18'])
    const scenarios = readScenarios(['size', 'seals/get-seals-of-anything-on-tmpfs'])
    const request = { scenarios, designs, cache: false }
    const timeless = ({ cells }: Awaited<ReturnType<typeof check>>) =>
      cells.map(({ verdict, hash }) => JSON.stringify({ hash, ...verdict, ms: 0 }))
    const one = timeless(await check({ ...request, workers: 1 }))
    const answer = answerOnQueue({ url: server.url, patience: 20, what: 'check' })
    const many = () => check({ ...request, answer })
    assert.deepEqual(timeless(await withWorker(many, { threads: 1 }, CELLS)), one)
    assert.deepEqual(await left(), [])
  })

  test('a large cell goes in slices, and says what it says in one piece', async () => {
    const designs = await resolveDesigns(['v10', 'upm'])
    const scenarios = readScenarios(['punch/punch-vs-guest-fault'])
    const request = { scenarios, designs, cache: false }
    // What a search knows of steps is learned anew in each slice, and takes other room.
    const essence = ({ cells }: Awaited<ReturnType<typeof check>>) =>
      cells.map(({ verdict, hash }) => JSON.stringify({ hash, ...verdict, ms: 0, bytes: 0 }))
    const one = essence(await check({ ...request, workers: 1 }))
    let parts: readonly Part[] = []
    const answer = answerOnQueue({
      ...{ url: server.url, patience: 20, what: 'check' },
      onParts: (by) => {
        parts = Object.values(by)
      },
    })
    const many = await withWorker(() => check({ ...request, answer }), { slice: 0 }, CELLS)
    assert.deepEqual(essence(many), one)
    assert.ok(
      parts.every((p) => p.slices >= 4),
      JSON.stringify(parts),
    )
    assert.deepEqual(await left(), [])
  })

  test('workers are killed, and nothing is lost and nothing there twice', async () => {
    const workers: ChildProcess[] = []
    const begin = async (): Promise<void> => {
      const victim = join(import.meta.dirname, 'victim.js')
      const stdio = ['ignore', 'pipe', 'inherit'] as const
      const child = spawn(process.execPath, [victim, server.url], { stdio: [...stdio] })
      workers.push(child)
      await once(child.stdout!, 'data')
    }
    await Promise.all([begin(), begin()])
    const taken: number[] = []
    let kills = 0
    // Each time that some answers more are there, one dies and another comes.
    const onAnswer = (n: number): void => {
      taken.push(n)
      if (kills === KILLS || taken.length < (kills + 1) * 15) return
      workers[kills++]?.kill('SIGKILL')
      void begin()
    }
    const asked = ask(ALL, { onAnswer })
    const { answers, by } = await asked
    for (const w of workers) w.kill('SIGKILL')
    assert.equal(kills, KILLS)
    assert.deepEqual(answers, squares(ALL))
    assert.deepEqual(
      taken.toSorted((a, b) => a - b),
      squares(ALL),
    )
    assert.ok(Object.keys(by).length > 2)
    const slices = Object.values(by).reduce((sum, p) => sum + p.slices, 0)
    assert.equal(slices, (ALL / SLICED.every) * (SLICED.slices - 1))
  })

  test('a snapshot that is gone is said, and its job begins again', async () => {
    const notices: string[] = []
    const run = 'd'.repeat(32)
    const slice = { slices: 2, snapshot: 'a'.repeat(32), pieces: 2, bytes: 4, states: 2 }
    await onServer(({ redis }) => redis.set(KEYS.run(run), '', 'EX', 20))
    const before = 1e9
    const job = envelope(run, 0, 5, { ...slice, milliseconds: before })
    await put(jobId(job), job)
    const said = await withWorker(
      async () => {
        for (;;) {
          const text = await onServer(({ redis }) => redis.hget(KEYS.answers(run), '0.2'))
          if (text !== null) return JSON.parse(text)
          await sleep(50)
        }
      },
      { onNotice: (text) => notices.push(text) },
    )
    assert.equal(said.slice.slices, 3)
    assert.ok(said.slice.milliseconds < before)
    assert.match(notices.join(), /the square of 5: its snapshot is not on the server any more/)
    const snapshot = KEYS.snapshot(run, said.slice.snapshot)
    await onServer(({ redis }) => redis.del(KEYS.run(run), KEYS.answers(run), snapshot))
  })

  test('the server is started again with nothing in it: it is said, and survived', async () => {
    const notices: string[] = []
    const onNotice = (text: string): void => {
      notices.push(text)
    }
    const some = whenTaken(10)
    const { answers } = await withWorker(async () => {
      const asked = ask(60, { onNotice, onAnswer: some.onAnswer })
      await some.there
      await server.stop()
      await server.begin()
      return asked
    })
    assert.deepEqual(answers, squares(60))
    assert.match(notices.join('\n'), /no connection .*trying for 20 s.*the connection is back/s)
  })

  test('the network of asker and worker is cut, and mended', async () => {
    const network = await Network.to(server.port)
    const notices: string[] = []
    const ways = { url: network.url, onNotice: (text: string) => notices.push(text) }
    const some = whenTaken(10)
    const { answers } = await withWorker(async () => {
      const asked = ask(60, { ...ways, onAnswer: some.onAnswer })
      await some.there
      network.cut()
      while (notices.length === 0) await sleep(20)
      network.mend()
      return asked
    }, ways)
    await network.end()
    assert.deepEqual(answers, squares(60))
    assert.ok(notices.some((n) => n.includes('the connection is back')))
  })

  test('patience has an end', async () => {
    const network = await Network.to(server.port)
    network.cut()
    const url = network.url.replace('redis://', 'redis://me:secret@')
    const over = (e: unknown): boolean =>
      e instanceof UserError && /no connection for 1 s/.test(e.message) && !/secret/.test(e.message)
    await assert.rejects(ask(1, { url, patience: 1 }), over)
    await assert.rejects(
      withWorker(async () => {}, { url, patience: 1 }),
      over,
    )
    await network.end()
  })

  test('a job that is none gets a message and runs nothing', async () => {
    const run = 'f'.repeat(32)
    const damages = ['text', {}, { ...envelope(run, 0, 1), more: 1 }, { ...envelope('x', 0, 1) }]
    for (const [i, data] of damages.entries()) await put(`damaged-${i}`, data)
    const notices: string[] = []
    const { answers } = await withWorker(() => ask(3), { onNotice: (text) => notices.push(text) })
    assert.deepEqual(answers, squares(3))
    assert.equal(notices.filter((n) => n.includes('nothing was run')).length, damages.length)
  })

  test('a job for another version, or with something else in it, is refused', async () => {
    const run = 'e'.repeat(32)
    await onServer(({ redis }) => redis.set(KEYS.run(run), '{}', 'EX', 20))
    await put(jobId({ run, number: 0 }), { ...envelope(run, 0, 1), code: '0.0.9 0123' })
    await put(jobId({ run, number: 1 }), envelope(run, 1, 'seven'))
    const answers = await withWorker(async () => {
      for (;;) {
        const all = await onServer(({ redis }) => redis.hgetall(KEYS.answers(run)))
        if (Object.keys(all).length === 2) return all
        await sleep(50)
      }
    })
    assert.match(JSON.parse(answers['0'] as string).refused, /for another version \(0\.0\.9 0123;/)
    assert.match(JSON.parse(answers['1'] as string).refused, /a whole number is wanted/)
    await onServer(({ redis }) => redis.del(KEYS.run(run), KEYS.answers(run)))
  })

  test('an answer of another version is refused, said, and asked for again', async () => {
    const notices: string[] = []
    const asked = ask(2, { onNotice: (text) => notices.push(text) })
    const run = await anyRun()
    await onServer(async ({ redis }) => {
      const forged = { ...answered('elsewhere', 1, { answer: 5 }), code: '0.0.9 0123' }
      await redis.hset(KEYS.answers(run), '1', JSON.stringify(forged))
      while (notices.length === 0) await sleep(20)
    })
    assert.match(notices[0] as string, /the square of 1 is refused: .*another version \(0\.0\.9/)
    assert.deepEqual((await withWorker(() => asked)).answers, squares(2))
  })

  test('a design of the user runs only where that is allowed', async () => {
    const url = (path: string): string => pathToFileURL(packagedFile(`dist/src/${path}`)).href
    const module = `import { defineDesign } from "${url('designs/design.js')}";
import { upm } from "${url('designs/upm.js')}";
export const design = defineDesign({ id: 'mine', summary: '', base: upm, cite: [], replaces: [] });`
    const design = await loadDesign({ id: 'mine', module })
    const mine: LoadedDesign = { ...{ id: 'mine', module, identity: module }, design, path: 'mine' }
    const answer = answerOnQueue({ url: server.url, patience: 20, what: 'check' })
    const scenarios = readScenarios(['size'])
    const go = () => check({ scenarios, designs: [mine], cache: false, answer })
    await assert.rejects(withWorker(go, {}, CELLS), /on mine: it runs no designs of others/)
    const { cells } = await withWorker(go, { allowDesigns: true, threads: 1 }, CELLS)
    assert.equal(cells[0]?.verdict.design, 'mine')
    assert.equal(cells[0]?.verdict.verdict, 'finding')
  })

  test('who is interrupted takes back what was asked, and leaves no keys', async () => {
    const stop = new AbortController()
    const asked = ask(300, { signal: stop.signal })
    while ((await running())?.total !== 300) await sleep(50)
    stop.abort()
    assert.equal((await asked).interrupted, true)
    assert.deepEqual(await left(), [])
  })

  test('who is interrupted while slices are under way leaves no snapshots', async () => {
    const stop = new AbortController()
    await withWorker(async () => {
      // Of those that are begun at that moment the answers come when nobody waits.
      const all = below(40).map((i) => SLICED.every * (i + 1))
      const asked = askAll(SQUARES, all, new Map(), {
        ...{ ...ASK, url: server.url, signal: stop.signal },
        onDone: (_, states) => {
          if (states > 0) stop.abort()
        },
      })
      assert.equal((await asked).interrupted, true)
    })
    assert.deepEqual(await left(), [])
  })

  test('an answer that is not taken in is read for the snapshot that it names', async () => {
    const stop = new AbortController()
    const asked = ask(1, { signal: stop.signal })
    const run = await anyRun()
    await onServer(async (line) => {
      const stored = await storeSnapshot(line, run, { pieces: [Uint8Array.of(1)], bytes: 1 })
      assert.ok(typeof stored === 'object')
      const said = { slice: { ...stored, slices: 1, milliseconds: 1, states: 1 } }
      const text = JSON.stringify(answered('elsewhere', 1, said))
      await line.redis.hset(KEYS.answers(run), '0', text)
      stop.abort()
    })
    await asked
    assert.deepEqual(await left(), [])
  })

  test('of two answers to one slice the first counts, and nothing of the other is kept', async () => {
    const run = 'b'.repeat(32)
    const first = JSON.stringify(answered('elsewhere', 1, { answer: 25 }))
    await onServer(({ redis }) => redis.set(KEYS.run(run), '', 'EX', 20))
    await onServer(({ redis }) => redis.hset(KEYS.answers(run), '0', first))
    const job = envelope(run, 0, 5)
    await put(jobId(job), job)
    const itself = `${PREFIX}:${queueName(SQUARES.name)}:${jobId(job)}`
    await withWorker(() =>
      onServer(async ({ redis }) => {
        while ((await redis.exists(itself)) === 1) await sleep(20)
      }),
    )
    await onServer(async ({ redis }) => {
      assert.equal(await redis.hget(KEYS.answers(run), '0'), first)
      assert.deepEqual(await redis.keys(KEYS.snapshot(run, '*')), [])
      await redis.del(KEYS.run(run), KEYS.answers(run))
    })
  })

  test('status tells runs and workers', async () => {
    const stop = new AbortController()
    await withWorker(async () => {
      const asked = ask(300, { signal: stop.signal })
      let run = await running()
      for (; (run?.done ?? 0) === 0; run = await running()) await sleep(300)
      const { workers } = await statusOf(server.url, ASK)
      stop.abort()
      await asked
      assert.ok(run !== undefined && run.total === 300 && (run.found.even ?? 0) > 0)
      assert.equal(Object.values(run.by)[0]?.jobs, run.done)
      assert.equal(workers[0]?.threads, 2)
    })
    const { runs, workers } = await statusOf(server.url, ASK)
    const last = runs.at(-1)
    assert.equal(last?.state, 'interrupted')
    assert.equal(last?.ran.length, last?.done)
    const two = last?.ran.find((r) => r.title === 'the square of 2')
    assert.deepEqual([two?.slices, two?.found], [1, ['even']])
    assert.deepEqual(workers, [])
  })
})

test('what does not fit on the server stays with its worker', {
  skip: NO_SERVER ?? false,
}, async () => {
  const server = await RedisServer.start('--maxmemory', '10mb')
  const line = await Line.open(server.url, ASK)
  try {
    const run = 'c'.repeat(32)
    const pieces = below(3).map(() => randomBytes(2 ** 23))
    assert.match(
      String(await storeSnapshot(line, run, { pieces, bytes: 3 * 2 ** 23 })),
      /maxmemory/,
    )
    assert.deepEqual(await line.redis.keys('*'), [])
    // Whatever else a server says to it is no word about room.
    await line.redis.acl('SETUSER', 'reader', 'on', 'nopass', '~*', '&*', '+@all', '-hset')
    const reader = await Line.open(server.url.replace('//', '//reader:any@'), ASK)
    await assert.rejects(
      storeSnapshot(reader, run, { pieces: [Uint8Array.of(1)], bytes: 1 }),
      (e) => e instanceof UserError && /the server refuses: NOPERM/.test(e.message),
    )
    reader.close()
  } finally {
    line.close()
    await server.end()
  }
})

test('a password is asked for, and told to nobody', { skip: NO_SERVER ?? false }, async () => {
  const server = await RedisServer.start('--requirepass', 'secret')
  try {
    const url = (password: string): string => server.url.replace('//', `//:${password}@`)
    const nothing = { schema: STATUS_SCHEMA, runs: [], workers: [] }
    assert.deepEqual(await statusOf(url('secret'), ASK), nothing)
    for (const wrong of [server.url, url('hidden')]) {
      await assert.rejects(
        statusOf(wrong, ASK),
        (e) => e instanceof UserError && !/secret|hidden/.test(e.message),
      )
    }
  } finally {
    await server.end()
  }
})
