/** The words into which C is translated, as the build has harvested them. */
import { builtFile } from '../../app/host/package.js'
import { type Dictionary, readDictionary } from '../model/dictionary.js'

export function dictionary(): Dictionary {
  return readDictionary(builtFile('dictionary.json'))
}
