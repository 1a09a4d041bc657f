/** The C around a patch: the files that it touches, and the rest of the tree when somebody asks. */
import { parseC } from './c/parse.js'
import type { ChangedFile } from './changes.js'
import { type Item, itemsOf } from './items.js'
import type { Surrounding } from './users.js'

interface Found {
  readonly path: string
  readonly items: readonly Item[]
}

/** What the patch does not touch: the same on both sides of it, and for every design. */
interface Others {
  readonly byWord: Map<string, readonly Found[]>
  readonly parsed: Map<string, readonly Item[]>
}

export class Around implements Surrounding {
  readonly #files: readonly ChangedFile[]
  readonly #rest: () => ReadonlyMap<string, string>
  readonly isWhole: boolean
  readonly #side: 'before' | 'after'
  readonly #others: Others

  /** `rest`: path to text of what else there is, asked for late since that is much. */
  constructor(
    files: readonly ChangedFile[],
    rest: () => ReadonlyMap<string, string>,
    isWhole: boolean,
    side: 'before' | 'after' = 'after',
    others: Others = { byWord: new Map(), parsed: new Map() },
  ) {
    this.#files = files
    this.#rest = rest
    this.isWhole = isWhole
    this.#side = side
    this.#others = others
  }

  /** The same with the patch taken back. */
  turned(): Around {
    const side = this.#side === 'after' ? 'before' : 'after'
    return new Around(this.#files, this.#rest, this.isWhole, side, this.#others)
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

  filesWith(word: string): Found[] {
    const mention = new RegExp(`\\b${word}\\b`)
    const own = this.#files.filter((f) => mention.test(f[this.#side].text))
    return [
      ...own.map((f) => ({ path: f.path, items: f[this.#side].items })),
      ...this.#othersWith(word, mention),
    ]
  }

  #othersWith(word: string, mention: RegExp): readonly Found[] {
    const known = this.#others.byWord.get(word)
    if (known !== undefined) return known
    const paths = new Set(this.#files.map((f) => f.path))
    const found = [...this.#rest()]
      .filter(([path, text]) => !paths.has(path) && mention.test(text))
      .map(([path, text]) => ({ path, items: this.#itemsOf(path, text) }))
    this.#others.byWord.set(word, found)
    return found
  }

  #itemsOf(path: string, text: string): readonly Item[] {
    const known = this.#others.parsed.get(path)
    if (known !== undefined) return known
    const items = itemsOf(text, parseC(text))
    this.#others.parsed.set(path, items)
    return items
  }
}
