/**
 * The editor for scenarios, loaded when somebody edits. It lives in a shadow tree, where its style
 * sheets may be adopted: the page's policy allows no style elements.
 */
import { autocompletion, type CompletionContext, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language'
import { linter, lintGutter } from '@codemirror/lint'
import { EditorState } from '@codemirror/state'
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
} from '@codemirror/view'
import { tags as t } from '@lezer/highlight'
import type { Hello, Mistake } from '../protocol.js'

const WORDS =
  /^(litmus|hosts?|setup|task|finally|faults|reach|always|never|sometimes|expect|clean|finds|skip|and|or|not)\b/

const litmus = StreamLanguage.define({
  token(s) {
    if (s.eatSpace()) return null
    if (s.match('#')) {
      s.skipToEnd()
      return 'comment'
    }
    if (s.match(/^"[^"]*"?/)) return 'string'
    if (s.match(WORDS)) return 'keyword'
    if (s.match(/^-?(0x[0-9a-f]+|\d+[PKMGT]?)\b/i)) return 'number'
    if (s.match(/^-?[A-Z][A-Z0-9_]+\b/)) return 'atom'
    if (s.match(/^[a-z_]\w*(?=\()/)) return 'call'
    if (s.match(/^[\w.-]+/)) return 'variableName'
    s.next()
    return null
  },
  tokenTable: { call: t.function(t.variableName) },
})

const colours = HighlightStyle.define([
  { tag: t.keyword, color: 'var(--keyword)', fontWeight: '600' },
  { tag: t.comment, color: 'var(--dim)' },
  { tag: t.string, color: 'var(--good)' },
  { tag: [t.number, t.atom], color: 'var(--number)' },
  { tag: t.function(t.variableName), color: 'var(--accent)' },
])

const look = EditorView.theme({
  '&': { color: 'var(--text)', backgroundColor: 'var(--paper)', fontSize: '13px', height: '100%' },
  '.cm-content': { fontFamily: 'var(--mono)', caretColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'var(--panel)', color: 'var(--dim)', border: 'none' },
  '.cm-activeLine': { backgroundColor: 'var(--line-soft)' },
  '&.cm-focused .cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-tooltip': {
    backgroundColor: 'var(--panel)',
    color: 'var(--text)',
    border: '1px solid var(--line)',
  },
  '.cm-selectionBackground': { backgroundColor: 'var(--select) !important' },
})

function completionsOf(known: Hello) {
  const options = [
    ...known.operations.map((o) => ({
      label: o.name,
      type: 'function',
      detail: `(${o.parameters.join(', ')})`,
      info: o.doc,
    })),
    ...known.constants.map((label) => ({ label, type: 'constant' })),
    ...known.designs.map((d) => ({ label: d.id, type: 'class', info: d.summary })),
    ...known.findings.map((f) => ({ label: f.id, type: 'enum', info: f.sentence })),
  ]
  return (context: CompletionContext) => {
    const word = context.matchBefore(/[\w.-]+/)
    if (word === null && !context.explicit) return null
    return { from: word?.from ?? context.pos, options, validFor: /^[\w.-]*$/ }
  }
}

/** Put an editor into the page; `parse` says what is wrong with a text. */
export function edit(
  parent: HTMLElement,
  text: string,
  known: Hello,
  parse: (text: string) => Promise<Mistake | undefined>,
): { text(): string; destroy(): void } {
  const root = parent.shadowRoot ?? parent.attachShadow({ mode: 'open' })
  root.replaceChildren()
  const check = linter(
    async ({ state }) => {
      const mistake = await parse(state.doc.toString())
      if (mistake === undefined) return []
      const line = state.doc.line(Math.min(mistake.line, state.doc.lines))
      const from = Math.min(line.to, line.from + mistake.column - 1)
      const word = /^[\w.-]+/.exec(state.sliceDoc(from, line.to))?.[0].length ?? 1
      const to = Math.min(state.doc.length, from + word)
      return [{ from: Math.min(from, to), to, severity: 'error', message: mistake.message }]
    },
    { delay: 150 },
  )
  const view = new EditorView({
    parent: root as unknown as Element,
    root,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap]),
        litmus,
        syntaxHighlighting(colours),
        autocompletion({ override: [completionsOf(known)] }),
        lintGutter(),
        check,
        look,
        EditorView.contentAttributes.of({ 'aria-label': 'scenario' }),
      ],
    }),
  })
  return {
    text: () => view.state.doc.toString(),
    destroy: () => view.destroy(),
  }
}
