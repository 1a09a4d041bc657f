/** A story that is too long for a screen keeps what the finding is about. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fitToScreen, type Line } from '../../src/report/screen.js'

/** `folio 0 refcount 1->2` is about folio 0. */
function line(n: number, task: string, texts: string[], about: string[] = []): Line {
  const changes = texts.map((text) => ({ text, names: [text.split(' ', 2).join(' ')] }))
  return { n, task, text: ' f', changes, marks: about.map((name) => `*** ${name}`), about }
}

const call: Line = { n: 1, task: 'a', text: 'punch(fd)', changes: [], marks: [], about: [] }
const leak = line(9, 'exit', ['file 8 freed'], ['folio 1'])
const story: readonly Line[] = [
  call,
  line(2, 'a', ['folio 0 refcount 1->2']),
  line(3, 'a', ['folio 1 refcount 1->2']),
  line(4, 'a', ['folio 0 dirty 0->1']),
  line(5, 'b', ['folio 1 refcount 2->3', 'spte 0 allocated']),
  line(6, 'exit', ['kvm 0 freed']),
  line(7, 'exit', ['folio 1 refcount 3->2']),
  leak,
]

const numbers = (lines: readonly Line[]): number[] => lines.map((l) => l.n)

test('a story that fits is shown as it is', () => {
  assert.equal(fitToScreen(story), story)
})

test('first the exit loses what the finding does not name', () => {
  assert.deepEqual(numbers(fitToScreen(story, 9)), [1, 2, 3, 4, 5, 7, 9])
})

test('then every task does; calls and findings stay', () => {
  const fitted = fitToScreen(story, 6)
  assert.deepEqual(numbers(fitted), [1, 3, 5, 7, 9])
  assert.deepEqual(
    fitted[2]?.changes.map((c) => c.text),
    ['folio 1 refcount 2->3'],
  )
  assert.equal(fitted.at(-1), leak)
})

test('then only the ends of each stretch are left', () => {
  const long = Array.from({ length: 20 }, (_, i) => line(i + 2, 'a', [`folio 1 refcount ${i}`]))
  assert.deepEqual(numbers(fitToScreen([call, ...long, { ...leak, n: 30 }], 5)), [1, 2, 21, 30])
})
