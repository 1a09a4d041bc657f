/** A box to write in: CodeMirror, loaded when it is first needed. */
import { useEffect, useRef } from 'preact/hooks'
import type { Setting } from './codemirror.js'

/** What one can do with the text in a box. */
export interface Editing {
  text(): string
  replace(text: string): void
  destroy(): void
}

export function CodeBox({
  text,
  setting,
  onReady,
}: {
  /** What the box begins with; another text puts another one there. */
  text: string
  setting: Setting
  onReady: (editing: Editing) => void
}) {
  const box = useRef<HTMLDivElement>(null)
  const view = useRef<Editing | undefined>(undefined)
  useEffect(() => {
    let gone = false
    void import('./codemirror.js').then(({ edit }) => {
      if (gone || box.current === null) return
      view.current = edit(box.current, text, setting)
      onReady(view.current)
    })
    return () => {
      gone = true
      view.current?.destroy()
    }
  }, [])
  useEffect(() => {
    if (view.current !== undefined && view.current.text() !== text) view.current.replace(text)
  }, [text])
  return <div class="code" ref={box} />
}
