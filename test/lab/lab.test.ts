/** The page: everything that needs it served, and one browser for all of it. */
import { Lab } from './browser.js'
import { testEditor } from './editor.js'
import { testLinks } from './links.js'
import { testScreens } from './screens.js'
import { testServer } from './server.js'
import { testStory } from './story.js'

const lab = new Lab()
testServer(lab)
testStory(lab)
testLinks(lab)
testEditor(lab)
testScreens(lab)
