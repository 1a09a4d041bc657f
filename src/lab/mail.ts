/** What the page reads out of a mail that is pasted. */
export { tokenIn } from '../app/token-text.js'
