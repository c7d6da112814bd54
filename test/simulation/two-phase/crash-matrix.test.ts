/** T-01: nine points at which the coordinator crashes, four of a participant, nine partitions. */
import t from 'tap'
import {
  allCases,
  coordinatorPoints,
  participantPoints,
  partitions,
  runCase
} from '../../support/two-phase/crash-matrix.js'

t.test('T-01 every crash of coordinator and participant, under every partition', async (t) => {
  const reached = new Map<string, number>()
  const outcomes = { commit: 0, abort: 0, nobody: 0 }
  let count = 0
  for (const one of allCases()) {
    count++
    const name = `${one.coordinator} × ${one.participant} × ${one.partition}`
    let outcome: ReturnType<typeof runCase>
    try {
      outcome = runCase(count, one)
    } catch (cause) {
      throw new Error(`${name} × ${one.keepsProposals ? 'kept' : 'lost'}`, { cause })
    }
    const { told, decision } = outcome
    if (told === 'committed') t.equal(decision, 'commit', name)
    if (told === 'aborted') t.not(decision, 'commit', name)
    outcomes[decision ?? 'nobody']++
    if (outcome.reached.coordinator) {
      reached.set(one.coordinator, (reached.get(one.coordinator) ?? 0) + 1)
    }
    if (outcome.reached.participant) {
      reached.set(one.participant, (reached.get(one.participant) ?? 0) + 1)
    }
  }
  t.ok(count >= 300, `${count} cases`)
  t.equal(count, 9 * 4 * Object.keys(partitions).length * 2)
  for (const point of [...coordinatorPoints, ...participantPoints]) {
    t.ok((reached.get(point) ?? 0) > 0, `${point}: ${reached.get(point) ?? 0} times`)
  }
  t.ok(outcomes.commit > 0 && outcomes.abort + outcomes.nobody > 0, JSON.stringify(outcomes))
})
