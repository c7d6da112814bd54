/**
 * What `healthCheck()` answers, from what the rooms say; a node is ready when work sent to it can
 * be done.
 */
import type { HealthCheck, HealthReport } from './cluster-manager.js'
import { CONTROL_GROUP } from './ids.js'
import { type Lifecycle, Lifecycles, Livenesses, type Member } from './member.js'
import type { GroupStatus } from './ports/replicated-group.js'

export interface HealthInputs {
  readonly started: boolean
  readonly lifecycle: Lifecycle
  readonly members: readonly Member[]
  readonly groups: readonly GroupStatus[]
  /** The leader of group 0 as this node knows it, with or without a replica of its own. */
  readonly leaderKnown: boolean
  /** How late the main loop's timer last was. */
  readonly loopDelayMs: number
  /** Above it the node calls itself unwell. */
  readonly loopDelayMsMax: number
  /** What further rooms say; none of them is asked about readiness. */
  readonly others?: readonly HealthCheck[]
  /** Names of checks to pass over. */
  readonly excluded?: ReadonlySet<string> | undefined
}

export function healthReportOf(inputs: HealthInputs): HealthReport {
  const checks = [
    startedCheck(inputs),
    lifecycleCheck(inputs),
    membershipCheck(inputs),
    leaderCheck(inputs),
    replicasCheck(inputs),
    controlCheck(inputs),
    loopCheck(inputs),
    ...(inputs.others ?? [])
  ].filter(({ name }) => inputs.excluded?.has(name) !== true)
  return {
    healthy: checks.every((check) => check.ok),
    ready: checks.every((check) => check.ok || !readinessChecks.includes(check.name)),
    checks
  }
}

const readinessChecks: readonly string[] = ['started', 'lifecycle', 'leader', 'replicas']

const startedCheck = ({ started }: HealthInputs): HealthCheck => ({
  name: 'started',
  ok: started,
  detail: started ? 'the node has started' : 'the node has not started or is stopping'
})

const lifecycleCheck = ({ lifecycle }: HealthInputs): HealthCheck => ({
  name: 'lifecycle',
  ok: lifecycle === Lifecycles.Up || lifecycle === Lifecycles.WeaklyUp,
  detail: `the node is ${lifecycle}`
})

function membershipCheck({ members }: HealthInputs): HealthCheck {
  const present = members.filter((member) => member.lifecycle !== Lifecycles.Left)
  const gone = present.filter((member) => member.liveness !== Livenesses.Alive)
  return {
    name: 'membership',
    ok: gone.length === 0,
    detail:
      gone.length === 0
        ? `${present.length} members, all alive`
        : `not alive: ${gone.map((member) => `${member.nodeId} (${member.liveness})`).join(', ')}`
  }
}

const leaderCheck = ({ leaderKnown }: HealthInputs): HealthCheck => ({
  name: 'leader',
  ok: leaderKnown,
  detail: leaderKnown ? 'a leader is known' : 'no leader is known'
})

function replicasCheck(inputs: HealthInputs): HealthCheck {
  const groups = inputs.groups.filter(({ group }) => group !== CONTROL_GROUP)
  const failed = groups.filter((group) => group.failed !== null)
  return {
    name: 'replicas',
    ok: failed.length === 0,
    detail:
      failed.length === 0
        ? `${groups.length} replicas serve`
        : failed.map((group) => `group ${group.group}: ${group.failed}`).join(', ')
  }
}

/** Queries are answered without the control group; changes of the cluster are not. */
function controlCheck({ groups }: HealthInputs): HealthCheck {
  const own = groups.find(({ group }) => group === CONTROL_GROUP)
  const name = 'control'
  if (own === undefined) return { name, ok: true, detail: 'no replica of the control group here' }
  if (own.failed !== null) return { name, ok: false, detail: `its replica failed: ${own.failed}` }
  const { leader } = own
  return {
    name,
    ok: leader !== null,
    detail:
      leader === null ? 'the control group has no leader' : `${leader} leads the control group`
  }
}

const loopCheck = ({ loopDelayMs, loopDelayMsMax }: HealthInputs): HealthCheck => ({
  name: 'loop',
  ok: loopDelayMs <= loopDelayMsMax,
  detail: `the main loop was ${Math.round(loopDelayMs)} ms late, ${loopDelayMsMax} ms are fine`
})
