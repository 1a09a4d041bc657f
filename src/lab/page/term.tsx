import { hashOf } from './route.js'
import { meaningOf, piecesOf, TERMS } from './terms.js'

/** A word with what it means, on hover and for screen readers; it leads to the glossary. */
export function Term({ children }: { children: string }) {
  const meaning = meaningOf(children)
  if (meaning === undefined) return <>{children}</>
  return (
    <a
      class="term"
      href={hashOf({ screen: 'glossary', name: children })}
      title={meaning}
      aria-label={`${children}: ${meaning}`}
    >
      {children}
    </a>
  )
}

/** A text in which the words of the field say what they mean, on hover. */
export function Explained({ text }: { text: string }) {
  return (
    <>
      {piecesOf(text).map((piece, i) =>
        i % 2 === 0 ? (
          piece
        ) : (
          <abbr class="term" title={TERMS[piece]} key={piece}>
            {piece}
          </abbr>
        ),
      )}
    </>
  )
}

/** The same in a page that was rendered already. */
export function explainIn(element: Element): void {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT)
  const texts: Text[] = []
  while (walker.nextNode()) texts.push(walker.currentNode as Text)
  const seen = new Set<string>()
  for (const text of texts) {
    if (text.parentElement?.closest('a, pre, h1, h2, h3') != null) continue
    const pieces = piecesOf(text.data)
    if (pieces.length === 1) continue
    const parts = pieces.map((piece, i): Node => {
      if (i % 2 === 0 || seen.has(piece)) return document.createTextNode(piece)
      seen.add(piece)
      const abbr = document.createElement('abbr')
      abbr.className = 'term'
      abbr.title = TERMS[piece] as string
      abbr.textContent = piece
      return abbr
    })
    text.replaceWith(...parts)
  }
}
