import { fileURLToPath } from 'node:url'

/** The command itself, as a file to start processes with. */
export const mainFile = fileURLToPath(new URL('./main.js', import.meta.url))
