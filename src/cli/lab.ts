/** `lab`: the page, served to this machine, or written to files. */
import { spawn } from 'node:child_process'
import { existsSync, watch } from 'node:fs'
import { UserError } from '../app/error.js'
import { readText } from '../app/host/files.js'
import { decodeToken, TokenError } from '../app/token.js'
import { LabServer } from '../lab/host/serve.js'
import { type Opening, Verdicts } from '../lab/host/ship.js'
import { writeFolder, writeSingle } from '../lab/host/write.js'
import { EXIT } from './exit.js'
import type { LabFlags } from './flags.js'
import { out, say } from './terminal.js'

/** A token, a mail with one in it, or the file of a scenario. */
function openingOf(what: string | undefined): Opening {
  if (what === undefined) return {}
  const text = what === '-' || existsSync(what) ? readText(what) : what
  if (/^litmus\s/m.test(text) && !/^rm\d+\./.test(text)) return { text }
  try {
    decodeToken(text)
    return { token: text.replace(/^[>\s]+/gm, '').replace(/\s+/g, '') }
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    throw new UserError(`${what}: neither a file of a scenario nor a token: ${error.message}`)
  }
}

function hashOf({ token, text }: Opening): string {
  if (token !== undefined) return `#${token}`
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

async function write(flags: LabFlags, opening: Opening): Promise<number> {
  const verdicts = new Verdicts(new AbortController().signal)
  await verdicts.all((pending) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${pending} cells to go   `)
  })
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  if (flags.out !== undefined) writeFolder(flags.out, opening, verdicts.now())
  if (flags.single !== undefined) writeSingle(flags.single, opening, verdicts.now())
  out([flags.out, flags.single].filter((p) => p !== undefined).join('\n'))
  return EXIT.OK
}

/** Serve until a signal comes, or write what was asked for; returns the exit code. */
export async function lab(what: string | undefined, flags: LabFlags): Promise<number> {
  let opening = openingOf(what)
  if (flags.out !== undefined || flags.single !== undefined) return write(flags, opening)
  const stop = new AbortController()
  const verdicts = new Verdicts(stop.signal)
  const server = new LabServer(() => opening, verdicts)
  const url = await server.listen(flags.port).catch((error: Error) => {
    throw new UserError(`port ${flags.port}: ${error.message}`)
  })
  out(`${url}${hashOf(opening)}`)
  say('Ctrl-C ends it.')
  if (opening.text !== undefined && what !== undefined && what !== '-') {
    watch(what, () => {
      opening = openingOf(what)
    })
  }
  if (flags.open) openBrowser(`${url}${hashOf(opening)}`)
  const ended = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  const checking = verdicts.all()
  // What goes wrong with the checks ends it too.
  await Promise.race([ended, checking.then(() => ended)])
  stop.abort()
  server.close()
  await checking
  return EXIT.OK
}
