import type { AnySection } from './control-state.js'
import { auditSection } from './sections/audit.js'
import { clusterVersionSection } from './sections/cluster-version.js'
import { keyRingSection } from './sections/key-ring.js'
import { placementSection } from './sections/placement.js'
import { plansSection } from './sections/plans.js'
import { schemaChangesSection } from './sections/schema-changes.js'

/** The room's own; others are added where the rooms are composed. */
export const ownSections: readonly AnySection[] = [
  placementSection as AnySection,
  plansSection as AnySection,
  auditSection as AnySection,
  keyRingSection as AnySection,
  clusterVersionSection as AnySection,
  schemaChangesSection as AnySection
]
