import type { LogIndex, WallMs } from '../core/ids.js'
import { encodeWith, sectionStateBytesMax } from './change-command.js'
import { clusterVersionSection } from './sections/cluster-version.js'
import { type PlacementState, placementSection } from './sections/placement.js'
import { encodeImage } from './state-image.js'

export interface ControlSeed {
  readonly index: LogIndex
  readonly now: WallMs
  readonly clusterVersion: number
  readonly minVersion: number
  readonly placement: Pick<PlacementState, 'groups' | 'tables'>
}

/** The image of a control group that begins with what a new cluster cannot learn by itself. */
export function seedImage({ index, now, placement, ...versions }: ControlSeed): Uint8Array {
  const encoded = {
    [clusterVersionSection.name]: encodeWith(
      clusterVersionSection.state,
      { ...versions, nodes: [] },
      sectionStateBytesMax
    ),
    [placementSection.name]: encodeWith(
      placementSection.state,
      { ...placement, version: 1 },
      sectionStateBytesMax
    )
  }
  const sections = Object.entries(encoded).map(([name, state]) => ({ name, format: 1, state }))
  return encodeImage({ appliedIndex: index, now, system: [], sections })
}
