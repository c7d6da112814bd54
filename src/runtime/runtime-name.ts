/** What this process runs on, for people. */
export const runtimeName = (): string => `Node.js ${process.version.slice(1)}`
