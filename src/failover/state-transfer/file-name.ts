import { digestBytes, fileNameBytesMax } from './messages.js'

const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/
/** Made by this node alone; nobody can name a file of theirs so. */
const statePrefix = '~state-'
const stateName = /^~state-[0-9a-f]{32}$/

/**
 * Whether a file may be called so. A name becomes a path, so it is one part of one, of characters
 * that mean nothing to any file system: no separator, no leading dot, no control character.
 */
export const isFileName = (name: string): boolean =>
  name.length <= fileNameBytesMax && plainName.test(name)

/** Whether a file of this name may be asked for: an embedder's, or a state that waits for it. */
export const isServedName = (name: string): boolean => isFileName(name) || stateName.test(name)

/** What a state is called that travels as a file. @param tag 32 hex digits */
export const stateFileName = (tag: string): string => `${statePrefix}${tag}`

export const isStateFile = (name: string): boolean => stateName.test(name)

/** Whether it may be one; what is on its way is called by it. */
export const isDigest = (bytes: Uint8Array): boolean => bytes.length === digestBytes
