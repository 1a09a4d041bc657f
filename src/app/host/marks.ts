/** The points that a scenario may demand to be reached, as the sources have them. */
import { readdirSync, readFileSync } from 'node:fs'
import { packagedFile } from './package.js'

export interface Mark {
  readonly name: string
  /** Files that pass it. */
  readonly files: readonly string[]
}

/** All marks of the kernel, the designs and what drives them, by name. */
export function marks(): Mark[] {
  const found = new Map<string, string[]>()
  for (const folder of ['kernel', 'user', 'designs']) {
    for (const name of readdirSync(packagedFile(`src/${folder}`), { recursive: true })) {
      const file = `src/${folder}/${String(name).replaceAll('\\', '/')}`
      if (!file.endsWith('.ts')) continue
      for (const [, mark] of readFileSync(packagedFile(file), 'utf8').matchAll(
        /\bmark\('([\w-]+)'\)/g,
      )) {
        const files = found.get(mark as string) ?? []
        found.set(mark as string, files.includes(file) ? files : [...files, file])
      }
    }
  }
  return [...found]
    .map(([name, files]) => ({ name, files }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}
