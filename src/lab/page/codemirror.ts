/**
 * The editor for scenarios and designs, loaded when somebody edits. It lives in a shadow tree,
 * where its style sheets may be adopted: the page's policy allows no style elements.
 */
import {
  autocompletion,
  type Completion,
  type CompletionContext,
  completionKeymap,
} from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language'
import { type Diagnostic, linter, lintGutter } from '@codemirror/lint'
import { EditorState } from '@codemirror/state'
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  hoverTooltip,
  keymap,
  lineNumbers,
} from '@codemirror/view'
import { tags as t } from '@lezer/highlight'
import type { Mistake } from '../protocol.js'
import type { Editing } from './codebox.js'

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

const CODE_WORDS =
  /^(import|export|from|const|let|function|return|if|else|while|do|for|switch|case|break|continue|throw|new|null|undefined|true|false|type|interface|yield)\b/

interface Inside {
  comment: boolean
}

const typescript = StreamLanguage.define<Inside>({
  startState: () => ({ comment: false }),
  token(s, inside) {
    if (inside.comment || s.match('/*')) {
      inside.comment = !s.match(/^.*?\*\//)
      if (inside.comment) s.skipToEnd()
      return 'comment'
    }
    if (s.eatSpace()) return null
    if (s.match('//')) {
      s.skipToEnd()
      return 'comment'
    }
    if (s.match(/^(['"`])(?:\\.|(?!\1).)*\1?/)) return 'string'
    if (s.match(CODE_WORDS)) return 'keyword'
    if (s.match(/^(0x[0-9a-f]+|\d+)n?\b/i)) return 'number'
    if (s.match(/^[A-Z][A-Z0-9_]+\b/)) return 'atom'
    if (s.match(/^[A-Za-z_$][\w$]*(?=\()/)) return 'call'
    if (s.match(/^[\w$]+/)) return 'variableName'
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
  '.explained': { maxWidth: '40em', padding: '2px 8px', whiteSpace: 'pre-wrap' },
  '.cm-selectionBackground': { backgroundColor: 'var(--select) !important' },
})

/** What is edited, and what helps with it. */
export interface Setting {
  readonly label: string
  readonly language: 'litmus' | 'typescript'
  readonly completions: readonly Completion[]
  /** What a word means that is none of these. */
  readonly meaningOf: (word: string) => string | undefined
  /** What is wrong with a text, soon after it was typed; not asked if it is undefined. */
  readonly mistake: ((text: string) => Promise<Mistake | undefined>) | undefined
}

const LANGUAGES = { litmus, typescript }

function complete(options: readonly Completion[]) {
  return (context: CompletionContext) => {
    // Enter in a comment ends its line, and takes no word.
    if (context.matchBefore(/#.*/) !== null) return null
    const word = context.matchBefore(/[\w.@-]+/)
    if (word === null && !context.explicit) return null
    return { from: word?.from ?? context.pos, options, validFor: /^[\w.@-]*$/ }
  }
}

/** What the word under the pointer means: a call, a design, a finding, a word of the field. */
function explain({ completions, meaningOf }: Setting) {
  return hoverTooltip(({ state }, at) => {
    const line = state.doc.lineAt(at)
    const word = [...line.text.matchAll(/[\w.@-]+/g)].find(
      (m) => line.from + m.index <= at && at <= line.from + m.index + m[0].length,
    )
    if (word === undefined) return null
    const option = completions.find((o) => o.label === word[0])
    const meaning = typeof option?.info === 'string' ? option.info : meaningOf(word[0])
    if (meaning === undefined) return null
    const create = () => {
      const dom = document.createElement('div')
      dom.className = 'explained'
      dom.textContent = `${word[0]}${option?.detail ?? ''}: ${meaning}`
      return { dom }
    }
    return { pos: line.from + word.index, end: line.from + word.index + word[0].length, create }
  })
}

/** A mistake where it is, as long as the word that it begins with. */
function marked({ doc }: EditorState, { line: n, column, message }: Mistake): Diagnostic {
  const line = doc.line(Math.max(1, Math.min(n, doc.lines)))
  const start = Math.min(line.to, line.from + column - 1)
  const word = /^[\w.-]+/.exec(doc.sliceString(start, line.to))?.[0].length ?? 1
  const to = Math.min(doc.length, start + word)
  return { from: Math.min(start, to), to, severity: 'error', message }
}

/** How long nothing must have been typed before a text is looked at, in milliseconds. */
const QUIET = 120

/** Put an editor into the page. */
export function edit(parent: HTMLElement, text: string, setting: Setting): Editing {
  const root = parent.shadowRoot ?? parent.attachShadow({ mode: 'open' })
  root.replaceChildren()
  const { mistake } = setting
  const checking =
    mistake === undefined
      ? []
      : linter(
          async ({ state }) => {
            const found = await mistake(state.doc.toString())
            return found === undefined ? [] : [marked(state, found)]
          },
          { delay: QUIET },
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
        LANGUAGES[setting.language],
        syntaxHighlighting(colours),
        explain(setting),
        autocompletion({ override: [complete(setting.completions)] }),
        lintGutter(),
        checking,
        look,
        EditorView.contentAttributes.of({ 'aria-label': setting.label }),
      ],
    }),
  })
  // Who has no mouse scrolls it too.
  view.scrollDOM.tabIndex = 0
  return {
    text: () => view.state.doc.toString(),
    replace: (insert) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert } }),
    destroy: () => view.destroy(),
  }
}
