/** `lab`: the page, served to this machine, or written to files. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { UserError } from '../app/error.js'
import { readText } from '../app/host/files.js'
import { decodeToken, TokenError } from '../app/token.js'
import { beginsToken, tokenIn } from '../app/token-text.js'
import { isStatus, QueueSeen, statusIn } from '../lab/host/campaign.js'
import { LabServer } from '../lab/host/serve.js'
import { MATRICES, Verdicts } from '../lab/host/ship.js'
import { watchFile } from '../lab/host/watch.js'
import { writeFolder, writeSingle } from '../lab/host/write.js'
import type { CampaignSeen, Opening } from '../lab/protocol.js'
import { EXIT } from './exit.js'
import type { LabFlags } from './flags.js'
import { out, say } from './terminal.js'

/** A token, a mail with one in it, or the file of a scenario, of a design or of a campaign. */
function openingOf(what: string | undefined): Opening {
  if (what === undefined) return {}
  if (what.endsWith('.ts')) return { code: readText(what), live: true }
  const text = what === '-' || existsSync(what) ? readText(what) : what
  if (existsSync(what) && isStatus(text)) return { campaign: true }
  if (/^litmus\s/m.test(text) && !beginsToken(text)) return { text, live: what !== '-' }
  try {
    decodeToken(text)
    return { token: tokenIn(text) }
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    throw new UserError(`${what}: neither a file of a scenario nor a token: ${error.message}`)
  }
}

function hashOf({ token, text, code, campaign }: Opening): string {
  if (campaign === true) return '#campaign'
  if (token !== undefined) return `#${token}`
  if (code !== undefined) return '#design'
  return text === undefined ? '' : '#edit'
}

function openBrowser(url: string): void {
  const [command, ...args] =
    process.platform === 'darwin'
      ? ['open']
      : process.platform === 'win32'
        ? ['cmd', '/c', 'start', '']
        : ['xdg-open']
  const child = spawn(command as string, [...args, url], { stdio: 'ignore', detached: true })
  // Where there is no browser, the address has been printed.
  child.on('error', () => {})
  child.unref()
}

/** Files are read by others: they hold every matrix. */
async function write(flags: LabFlags, opening: Opening): Promise<number> {
  if (opening.campaign === true) {
    throw new UserError('a campaign is shown by a lab that runs: without --out and --single')
  }
  const { signal } = new AbortController()
  const known = new Map<string, object>()
  for (const id of MATRICES) {
    const verdicts = new Verdicts(signal, undefined, id)
    await verdicts.all((pending) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${id}: ${pending} cells to go   `)
    })
    known.set(id, verdicts.now())
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  const { live: _, ...open } = opening
  const contents = { open: () => open, verdicts: (id: string) => known.get(id) as object }
  if (flags.out !== undefined) writeFolder(flags.out, contents)
  if (flags.single !== undefined) writeSingle(flags.single, contents)
  out([flags.out, flags.single].filter((p) => p !== undefined).join('\n'))
  return EXIT.OK
}

/** The matrices of a page that is served; each is checked when it is first asked for. */
class Matrices {
  readonly #known = new Map<string, Verdicts>()
  readonly #signal: AbortSignal
  #checking: Promise<void> = Promise.resolve()
  #fail: (error: Error) => void = () => {}
  /** Rejects when a check goes wrong. */
  readonly failed = new Promise<never>((_, reject) => {
    this.#fail = reject
  })

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  now(id: string): object {
    const known = this.#known.get(id) ?? new Verdicts(this.#signal, undefined, id)
    if (!this.#known.has(id)) {
      this.#checking = this.#checking.then(() => known.all()).catch(this.#fail)
    }
    this.#known.set(id, known)
    return known.now()
  }

  /** Resolves when nothing is being checked. */
  idle(): Promise<void> {
    return this.#checking
  }
}

/** What is known of the campaign on a queue or in a file. @throws UserError if there is none */
async function campaignOf(
  what: string | undefined,
  queue: string | undefined,
  { campaign }: Opening,
): Promise<Pick<QueueSeen, 'now' | 'close'> | undefined> {
  if (queue !== undefined) {
    const seen = new QueueSeen(queue)
    await seen.look().catch((error: Error) => {
      seen.close()
      throw error
    })
    return seen
  }
  if (campaign !== true || what === undefined) return undefined
  statusIn(what)
  return { now: () => statusNow(what), close: () => {} }
}

/** The file may be in the middle of being written again. */
function statusNow(path: string): CampaignSeen {
  try {
    return statusIn(path)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { trouble: error.message }
  }
}

/** Serve until a signal comes, or write what was asked for; returns the exit code. */
export async function lab(what: string | undefined, flags: LabFlags): Promise<number> {
  let opening = flags.queue === undefined ? openingOf(what) : { campaign: true }
  if (flags.queue !== undefined && what !== undefined) {
    throw new UserError('--queue shows a queue; there can be nothing else to open')
  }
  if (flags.out !== undefined || flags.single !== undefined) return write(flags, opening)
  const stop = new AbortController()
  const matrices = new Matrices(stop.signal)
  const campaign = await campaignOf(what, flags.queue, opening)
  const server = new LabServer({
    open: () => opening,
    verdicts: (id) => matrices.now(id),
    campaign: campaign && (() => campaign.now()),
  })
  const url = await server.listen(flags.port).catch((error: Error) => {
    campaign?.close()
    throw new UserError(`port ${flags.port}: ${error.message}`)
  })
  out(`${url}${hashOf(opening)}`)
  say('Ctrl-C ends it.')
  if (opening.live === true && what !== undefined) {
    watchFile(what, stop.signal, () => {
      opening = openingAgain(what, opening)
      server.changed()
    })
  }
  if (flags.open) openBrowser(`${url}${hashOf(opening)}`)
  const ended = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  matrices.now('main')
  await Promise.race([ended, matrices.failed])
  stop.abort()
  server.close()
  campaign?.close()
  await matrices.idle()
  return EXIT.OK
}

/** What is in the file now; what was there before if it is nothing that the page can open. */
function openingAgain(path: string, before: Opening): Opening {
  try {
    return openingOf(path)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    say(error.message)
    return before
  }
}
