/** Formats that software speaks, as the control group's section `cluster-version` numbers them. */
export interface VersionRange {
  /** The oldest that it reads. */
  readonly min: number
  /** The newest that it reads and writes. */
  readonly max: number
}
