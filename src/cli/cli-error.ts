/** A failure as the user reads it: what is wrong, and the next step. Printed without a stack; the exit code is 1. */
export class CliError extends Error {}
