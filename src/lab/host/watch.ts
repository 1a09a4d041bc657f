/** Hears when a file is written again, in place or by a new file under its name. */
import { existsSync, watch } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'

/** How long a file must be left alone, in milliseconds: to write one takes several events. */
const QUIET = 60

/** Call `heard` after each writing of the file, until the signal comes. */
export function watchFile(path: string, signal: AbortSignal, heard: () => void): void {
  const name = basename(path)
  let timer: NodeJS.Timeout | undefined
  // The folder, since an editor may put another file in the place of the old one.
  watch(dirname(resolve(path)), { signal }, (_event, changed) => {
    if (typeof changed === 'string' && changed !== name) return
    clearTimeout(timer)
    timer = setTimeout(() => {
      if (!signal.aborted && existsSync(path)) heard()
    }, QUIET)
  })
}
