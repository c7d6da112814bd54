import { fileURLToPath } from 'node:url'

/** The command as it is published: put together, with few files to load. */
export const mainFile = fileURLToPath(new URL('../../bundle/main.js', import.meta.url))
