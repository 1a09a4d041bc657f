/**
 * What is known to follow from the words that were looked at. All the inputs that have been met at
 * one root form a decision tree: which word is looked at next depends on the values of those before
 * it and on nothing else. An answer is a number above 0.
 */
import { mem } from './arena.js'

/**
 * A node: the word that is read, a value, and the node to go on at if it has another one, or 0. If
 * it has this one, the next node lies behind it: a way through the tree is one line in memory.
 * Where a way ends lies one word, minus the answer.
 */
const NODE = { AT: 0, VALUE: 1, OTHER: 2, WORDS: 3 } as const

export class InputTrees {
  /** The first nodes. Node 0 is none. */
  readonly #roots: Int32Array
  #nodes = new Int32Array(1 << 12)
  #end = 1

  /** With so many roots. */
  constructor(roots: number) {
    this.#roots = new Int32Array(roots)
  }

  /** Words of the nodes that are in use. */
  get words(): number {
    return this.#end
  }

  get bytes(): number {
    return this.#roots.byteLength + this.#nodes.byteLength
  }

  /** The answer at a root for the words as they are, or 0 if it is not known. */
  recall(root: number): number {
    const nodes = this.#nodes
    let node = this.#roots[root] as number
    while (node !== 0) {
      const at = nodes[node] as number
      if (at <= 0) return -at
      if (mem[at] === nodes[node + NODE.VALUE]) node += NODE.WORDS
      else node = nodes[node + NODE.OTHER] as number
    }
    return 0
  }

  /** Keep an answer that was not known: `inputs` are the words looked at, address and value. */
  keep(root: number, inputs: Int32Array, answer: number): void {
    const [known, from] = this.#follow(root, inputs)
    const way = this.#end
    if (from === 0) this.#roots[root] = way
    else this.#nodes[from + NODE.OTHER] = way
    this.#layDown(inputs, known, answer)
  }

  /**
   * How many words of these inputs lie on a way that is known, and the node at which another value
   * leaves it; 0 if there is none yet.
   */
  #follow(root: number, inputs: Int32Array): readonly [number, number] {
    const nodes = this.#nodes
    let node = this.#roots[root] as number
    if (node === 0) return [0, 0]
    for (let i = 0; i < inputs.length; ) {
      if (nodes[node] !== inputs[i]) break
      if (nodes[node + NODE.VALUE] === inputs[i + 1]) {
        node += NODE.WORDS
        i += 2
        continue
      }
      const other = nodes[node + NODE.OTHER] as number
      if (other === 0) return [i, node]
      node = other
    }
    throw new Error('an answer depends on more than was looked at')
  }

  /** The way of these inputs from word `known` on, and at its end the answer. */
  #layDown(inputs: Int32Array, known: number, answer: number): void {
    const end = this.#end + ((inputs.length - known) / 2) * NODE.WORDS + 1
    if (end > this.#nodes.length) this.#nodes = grown(this.#nodes, end)
    let node = this.#end
    for (let i = known; i < inputs.length; i += 2) {
      this.#nodes[node] = inputs[i] as number
      this.#nodes[node + NODE.VALUE] = inputs[i + 1] as number
      node += NODE.WORDS
    }
    this.#nodes[node] = -answer
    this.#end = end
  }
}

/** The same words, with room for at least so many. */
export function grown(words: Int32Array, least: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(words.length * 2, least))
  larger.set(words)
  return larger
}
