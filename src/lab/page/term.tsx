import { TERMS } from './terms.js'

/** A word with what it means, on hover, on focus and for screen readers. */
export function Term({ children }: { children: string }) {
  const meaning = TERMS[children]
  if (meaning === undefined) return <>{children}</>
  return (
    <button type="button" class="term" title={meaning} aria-label={`${children}: ${meaning}`}>
      {children}
    </button>
  )
}
