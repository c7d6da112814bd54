/** What this software reads and writes, as the section `cluster-version` understands it. */
export interface SupportedVersions {
  /** The oldest format that it reads. */
  readonly min: number
  /** The newest that it reads and writes. */
  readonly max: number
}

export const supportedVersions: SupportedVersions = { min: 1, max: 1 }
