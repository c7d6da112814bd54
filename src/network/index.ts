export type { DeathRecord, ProbeEvidence } from './membership/death-records.js'
export {
  type MembershipComponents,
  type MembershipCounterName,
  MembershipDriver,
  type MembershipMessenger,
  type MembershipOptions
} from './membership/membership-driver.js'
export { membershipMessages } from './membership/messages.js'
