/** A kernel tree of the user's: which of its files the model knows something of, and their C. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { UserError } from '../../app/error.js'
import { functionsOf, tablesOf } from '../c/functions.js'
import { parseC } from '../c/parse.js'
import type { TreeFile } from '../calibrate.js'
import type { Dictionary } from '../model/dictionary.js'

/** @throws UserError if it is no kernel tree. */
export function checkTree(tree: string): void {
  if (!existsSync(tree) || !statSync(tree).isDirectory()) {
    throw new UserError(`${tree}: no such directory`)
  }
  if (!['mm', 'virt', 'fs'].some((d) => existsSync(join(tree, d)))) {
    throw new UserError(`${tree}: this is no Linux tree; it has no mm, virt or fs`)
  }
}

/** A file of the tree, as text; undefined if it does not have it. */
export function treeText(tree: string, path: string): string | undefined {
  const full = join(tree, path)
  if (relative(tree, full).startsWith('..')) return undefined
  return existsSync(full) && statSync(full).isFile() ? readFileSync(full, 'utf8') : undefined
}

/** A blob of the tree's git, by the abbreviated id of an index line; undefined if it has none. */
export function blobText(tree: string, id: string): string | undefined {
  if (!/^[0-9a-f]{6,64}$/.test(id) || /^0+$/.test(id)) return undefined
  const git = ['--no-replace-objects', '-C', tree, 'cat-file', 'blob', id]
  const { status, stdout } = spawnSync('git', git, { encoding: 'utf8', maxBuffer: 1 << 26 })
  return status === 0 ? stdout : undefined
}

/** The tree's release, `6.12`, if its Makefile says it. */
export function release(tree: string): string | undefined {
  const text = treeText(tree, 'Makefile') ?? ''
  const [, major] = /^VERSION = (\d+)$/m.exec(text) ?? []
  const [, minor] = /^PATCHLEVEL = (\d+)$/m.exec(text) ?? []
  return major === undefined || minor === undefined ? undefined : `${major}.${minor}`
}

export function readC(path: string, text: string): TreeFile {
  const root = parseC(text)
  return { path, functions: functionsOf(root), tables: tablesOf(root) }
}

/** Folders of the kernel that the model has functions of. */
const FOLDERS = [
  ...['mm', 'virt/kvm', 'arch/x86/kvm', 'arch/x86/kvm/mmu', 'fs', 'fs/hugetlbfs'],
  ...['include/linux', 'lib'],
]

/** Folders in which somebody may use what a patch changes. */
const AROUND = [
  ...FOLDERS,
  ...['kernel', 'virt/lib', 'arch/x86/kvm/vmx', 'arch/x86/kvm/svm', 'arch/x86/mm'],
  ...['arch/x86/include/asm', 'include/uapi/linux', 'drivers/base'],
]

const known = new Map<string, ReadonlyMap<string, string>>()

/** All C of the tree in the folders around the model, by path; read once. */
export function allTexts(tree: string | undefined): ReadonlyMap<string, string> {
  const found = known.get(tree ?? '')
  if (found !== undefined) return found
  const texts = new Map<string, string>()
  for (const folder of tree === undefined ? [] : AROUND.filter((f) => existsSync(join(tree, f)))) {
    for (const name of readdirSync(join(tree as string, folder)).filter((n) => /\.[ch]$/.test(n))) {
      const path = `${folder}/${name}`
      texts.set(path, readFileSync(join(tree as string, path), 'utf8'))
    }
  }
  known.set(tree ?? '', texts)
  return texts
}

/** The files of the tree in which some function of the model is defined. */
export function modelledFiles(tree: string, dictionary: Dictionary): TreeFile[] {
  const names = new Set(dictionary.functions.filter((f) => f.place !== '').map((f) => f.c))
  const word = /^[a-z].*?\b(\w+)\s*\(/gm
  const files: TreeFile[] = []
  for (const folder of FOLDERS.filter((f) => existsSync(join(tree, f)))) {
    for (const name of readdirSync(join(tree, folder)).sort()) {
      if (!/\.[ch]$/.test(name)) continue
      const path = `${folder}/${name}`
      const text = readFileSync(join(tree, path), 'utf8')
      if ([...text.matchAll(word)].some(([, f]) => names.has(f as string))) {
        files.push(readC(path, text))
      }
    }
  }
  return files
}
