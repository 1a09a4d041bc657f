/** The pages of the project, and which of them a tool writes. */
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../../..')

/** All pages, as paths from the root with forward slashes. */
export function pages(): string[] {
  const named = (folder: string): string[] =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => (folder === '' ? name : `${folder}/${name}`))
  return ['', 'docs', 'docs/decisions'].flatMap(named)
}

/** Made from sources, whose sentences they take as they are. */
export const GENERATED = /^docs\/(calls|errno|fidelity|invariants|lock-order|rooms|versions)\.md$/
