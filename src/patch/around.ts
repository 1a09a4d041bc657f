/** The C around a patch: the files that it touches, and the rest of the tree when somebody asks. */
import { parseC } from './c/parse.js'
import type { ChangedFile } from './changes.js'
import { type Item, itemsOf } from './items.js'
import type { Surrounding } from './users.js'

export class Around implements Surrounding {
  readonly #files: readonly ChangedFile[]
  readonly #rest: () => ReadonlyMap<string, string>
  readonly isWhole: boolean
  readonly #side: 'before' | 'after'
  readonly #parsed = new Map<string, readonly Item[]>()

  /** `rest`: path to text of what else there is, asked for late since that is much. */
  constructor(
    files: readonly ChangedFile[],
    rest: () => ReadonlyMap<string, string>,
    isWhole: boolean,
    side: 'before' | 'after' = 'after',
  ) {
    this.#files = files
    this.#rest = rest
    this.isWhole = isWhole
    this.#side = side
  }

  /** The same with the patch taken back. */
  turned(): Around {
    const side = this.#side === 'after' ? 'before' : 'after'
    return new Around(this.#files, this.#rest, this.isWhole, side)
  }

  /** Does something that the patch does not touch name one of these, functions of it aside? */
  isNamed(names: readonly string[], touched: ReadonlySet<string>): boolean {
    return names.some((name) => {
      const mention = new RegExp(`\\b${name}\\b`)
      return this.filesWith(name).some(({ path, items }) =>
        items.some(
          (i) =>
            i.name !== name &&
            !touched.has(i.name) &&
            mention.test(i.text) &&
            !this.#isFresh(path, i),
        ),
      )
    })
  }

  /** Brought by the patch. */
  #isFresh(path: string, item: Item): boolean {
    const file = this.#files.find((f) => f.path === path)
    return (
      file !== undefined &&
      !file.before.items.some((i) => i.name === item.name && i.text === item.text)
    )
  }

  /** Files whose text depends on whether, and as what, this is defined. */
  decidedBy(name: string): string[] {
    const conditional = new RegExp(`^\\s*#\\s*(?:el)?if.*\\b${name}\\b`, 'm')
    const texts = new Map(this.#rest())
    for (const f of this.#files) texts.set(f.path, f[this.#side].text)
    return [...texts].filter(([, text]) => conditional.test(text)).map(([path]) => path)
  }

  filesWith(word: string): { path: string; items: readonly Item[] }[] {
    const mention = new RegExp(`\\b${word}\\b`)
    const own = this.#files.filter((f) => mention.test(f[this.#side].text))
    const paths = new Set(this.#files.map((f) => f.path))
    const others = [...this.#rest()].filter(([p, text]) => !paths.has(p) && mention.test(text))
    return [
      ...own.map((f) => ({ path: f.path, items: f[this.#side].items })),
      ...others.map(([path, text]) => ({ path, items: this.#itemsOf(path, text) })),
    ]
  }

  #itemsOf(path: string, text: string): readonly Item[] {
    const known = this.#parsed.get(path)
    if (known !== undefined) return known
    const items = itemsOf(text, parseC(text))
    this.#parsed.set(path, items)
    return items
  }
}
