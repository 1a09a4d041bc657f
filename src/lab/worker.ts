/** A worker of the page that has what the project has. */
import { Engine } from './engine.js'
import { listen } from './listen.js'

listen((start) => new Engine(start))
