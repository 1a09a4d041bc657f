/** The package on the disk: where its files lie, and which code this is. */
import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../error.js'

/** The package's root: this file is built to `dist/src/app/host/package.js`. */
const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../../..')

/** A file that comes with the package. */
export function packagedFile(name: string): string {
  return join(ROOT, name)
}

export interface CodeVersion {
  readonly version: string
  /** Of the code that a verdict depends on; written by the build. */
  readonly code: string
  /** Of that, and of what turns C into kernel code. */
  readonly reading: string
}

/** Something that the build has written down beside the code. */
export function builtFile(name: string): string {
  return readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8')
}

function onDisk(): CodeVersion {
  return JSON.parse(builtFile('version.json')) as CodeVersion
}

/** The code that this process runs, as it was when the process began. */
export const CODE = onDisk()

/**
 * Modules are loaded when they are needed; what has been built again meanwhile may have brought
 * others.
 *
 * @throws UserError if it has.
 */
export function assertSameCode(code = CODE.code): void {
  if (onDisk().code !== code) {
    throw new UserError('restrictedmem was built again while it ran; run it again')
  }
}
