/** The page: a head, and one of its screens. */
import { signal } from '@preact/signals'
import { type ComponentType, render } from 'preact'
import { useEffect } from 'preact/hooks'
import { tokenIn } from '../mail.js'
import { Editor } from './editor.js'
import { Glossary } from './glossary.js'
import { DocPage, Learn, Tour } from './learn.js'
import { Matrix } from './matrix.js'
import { OwnDesign } from './own-design.js'
import { hashOf, route, type Screen } from './route.js'
import { begin, data, trouble } from './state.js'
import { Story } from './story.js'

type Theme = 'auto' | 'light' | 'dark'
const NEXT: Readonly<Record<Theme, Theme>> = { auto: 'dark', dark: 'light', light: 'auto' }

function remembered(): Theme {
  try {
    const kept = localStorage.getItem('theme')
    return kept === 'light' || kept === 'dark' ? kept : 'auto'
  } catch {
    return 'auto'
  }
}

const theme = signal<Theme>(remembered())

theme.subscribe((now) => {
  document.documentElement.dataset.theme = now
  try {
    localStorage.setItem('theme', now)
  } catch {
    // A page without storage forgets it.
  }
})

function Link({ to, children }: { to: Screen; children: string }) {
  const here = route.value.screen === to || (to === 'learn' && route.value.screen === 'docs')
  return (
    <a href={to === 'matrix' ? '#matrix' : `#${to}`} aria-current={here ? 'page' : undefined}>
      {children}
    </a>
  )
}

function Head() {
  return (
    <header class="head">
      <a class="brand" href="#matrix">
        restrictedmem <span>lab</span>
      </a>
      <nav aria-label="screens">
        <Link to="matrix">Matrix</Link>
        <Link to="tour">Tour</Link>
        <Link to="edit">Editor</Link>
        <Link to="design">Design</Link>
        <Link to="learn">Learn</Link>
        <Link to="glossary">Glossary</Link>
        {data.value?.open.campaign === true && <Link to="campaign">Campaign</Link>}
      </nav>
      <form
        onSubmit={(e) => {
          e.preventDefault()
          const text = new FormData(e.currentTarget as HTMLFormElement).get('token')
          location.hash = hashOf({ token: tokenIn(String(text)) })
        }}
      >
        <textarea
          name="token"
          rows={1}
          aria-label="token"
          placeholder="paste a token, or the mail it came in"
          onKeyDown={(e) => {
            if (e.key !== 'Enter') return
            e.preventDefault()
            ;(e.currentTarget as HTMLTextAreaElement).form?.requestSubmit()
          }}
          onPaste={(e) => {
            const form = (e.currentTarget as HTMLTextAreaElement).form
            setTimeout(() => form?.requestSubmit(), 0)
          }}
        />
      </form>
      <button
        type="button"
        class="theme"
        onClick={() => {
          theme.value = NEXT[theme.value]
        }}
      >
        {theme.value === 'auto' ? 'auto' : theme.value} theme
      </button>
    </header>
  )
}

const TITLES: Readonly<Record<Screen, string>> = {
  matrix: 'matrix',
  story: 'a finding',
  edit: 'editor',
  design: 'a design',
  learn: 'learn',
  tour: 'tour',
  docs: 'documentation',
  glossary: 'glossary',
  campaign: 'campaign',
}

const campaign = signal<ComponentType | undefined>(undefined)

/** The screen of a campaign, which few look at: loaded when it is first needed. */
function Campaign() {
  useEffect(() => {
    void import('./campaign.js').then((m) => {
      campaign.value = m.Campaign
    })
  }, [])
  const Screen = campaign.value
  if (data.value !== undefined && data.value.open.campaign !== true) {
    return (
      <section class="page">
        <h1>Campaign</h1>
        <p>
          <code>restrictedmem lab --queue redis://…</code> shows what runs on a queue, and{' '}
          <code>restrictedmem lab status.json</code> what <code>queue status --json</code> has
          written. This page was started with neither.
        </p>
      </section>
    )
  }
  return Screen === undefined ? null : <Screen />
}

function Main() {
  switch (route.value.screen) {
    case 'matrix':
      return <Matrix />
    case 'story':
      return <Story />
    case 'edit':
      return <Editor />
    case 'design':
      return <OwnDesign />
    case 'tour':
      return <Tour />
    case 'learn':
      return <Learn />
    case 'docs':
      return <DocPage />
    case 'glossary':
      return <Glossary />
    case 'campaign':
      return <Campaign />
  }
}

function App() {
  const version = data.value
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        To the content
      </button>
      <Head />
      <main id="main" tabIndex={-1}>
        <Main />
      </main>
      <footer class="foot dim">
        restrictedmem {version?.version} · model <code>{version?.code}</code> · Linux’s
        guest-private memory as a program
      </footer>
    </>
  )
}

route.subscribe(({ screen }) => {
  document.title = `${TITLES[screen]} · restrictedmem lab`
})

render(<App />, document.getElementById('app') as HTMLElement)

begin().catch((error: Error) => {
  trouble.value = error.message
})
