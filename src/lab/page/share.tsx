/** A story for others: a link, a mail, what a kernel would print, JSON, a file for Perfetto. */
import { signal } from '@preact/signals'
import { renderLetter } from '../../report/letter.js'
import { renderPerfetto } from '../../report/perfetto.js'
import { renderSplat } from '../../report/splat.js'
import type { Trace } from '../../trace/events.js'
import { tokenIn } from '../mail.js'
import { withTexts } from '../texts.js'
import { shipped } from './shipped.js'
import { hindsight, type Shown } from './state.js'

const copied = signal('')

const inFull = async (trace: Trace): Promise<Trace> => withTexts(trace, await shipped('texts.json'))

async function copySplat(trace: Trace): Promise<void> {
  await copy('splat', renderSplat(await inFull(trace)))
}

async function saveStory(name: string, token: string, own: Shown['answer']['own']): Promise<void> {
  const story = { token, ...own, trace: await inFull(own.trace) }
  save(`${name}.json`, JSON.stringify(story, undefined, 2))
}

async function copy(what: string, text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    copied.value = `${what} copied`
  } catch {
    copied.value = `this browser does not let a page copy; the ${what} is below`
    shownText.value = text
  }
}

const shownText = signal('')

function save(name: string, text: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }))
  link.download = name
  link.click()
  URL.revokeObjectURL(link.href)
}

/** The story as a letter of at most 72 columns. */
function letterOf({ token, answer }: Shown): string {
  const { own, scenario } = answer
  return renderLetter(own.trace, hindsight.value, scenario, tokenIn(token))
}

export function copyLink(): void {
  void copy('link', location.href)
}

export function Share({ shown }: { shown: Shown }) {
  const { own } = shown.answer
  const name = `${own.trace.scenario.replace('/', '-')}-${own.design}`
  const token = tokenIn(shown.token)
  return (
    <footer class="share">
      <button type="button" onClick={copyLink}>
        Copy link
      </button>
      <button type="button" onClick={() => copy('mail', letterOf(shown))}>
        Copy as mail
      </button>
      <button type="button" onClick={() => copySplat(own.trace)}>
        Copy splat
      </button>
      <button type="button" onClick={() => saveStory(name, token, own)}>
        JSON
      </button>
      <button
        type="button"
        onClick={() => save(`${name}.perfetto.json`, renderPerfetto(own.trace))}
      >
        Perfetto
      </button>
      <code class="command">npx restrictedmem replay {token}</code>
      <span role="status">{copied.value}</span>
      {shownText.value !== '' && (
        <textarea readOnly rows={12} aria-label="text to copy" value={shownText.value} />
      )}
    </footer>
  )
}
