import type { VersionRange } from '../core/versions.js'

/**
 * What this software reads and writes, as the section `cluster-version` understands it.
 *
 * 1: the first.
 * 2: nodes say what their software runs on.
 */
export const supportedVersions: VersionRange = { min: 1, max: 2 }
