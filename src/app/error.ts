/** A mistake of the user's: a message, no stack trace. */
export class UserError extends Error {}
