import t from 'tap'
import { type ConfigInput, resolveConfig } from '../../../../src/core/index.js'
import {
  allSettings,
  differencesOf,
  joinDigest,
  joinSettingsMax,
  joinSettingsOf,
  settingNameBytesMax,
  settingValueBytesMax
} from '../../../../src/network/membership/compatibility.js'

const settingsOf = (change: Partial<ConfigInput> = {}) =>
  joinSettingsOf(
    resolveConfig({
      code: {
        node: { id: 'x', dataDirectory: '/x' },
        cluster: { bootstrap: { voters: ['x'] } },
        security: { insecure: true },
        ...change
      }
    })
  )

t.test('S-19: what differs is named with both values, by whether it must agree', async (t) => {
  const ours = settingsOf()
  t.same(differencesOf(ours, allSettings(settingsOf())), { refused: [], warned: [] })
  t.equal(joinDigest(ours), joinDigest(settingsOf()))
  const theirs = settingsOf({
    membership: { probeIntervalMs: 2_000, gossipFanout: 5 },
    consensus: { electionTimeoutMaxMs: 3_000 }
  })
  t.not(joinDigest(ours), joinDigest(theirs))
  t.same(differencesOf(ours, allSettings(theirs)), {
    refused: [
      'consensus.electionTimeoutMaxMs: 1000 here, 3000 there',
      'membership.probeIntervalMs: 1000 here, 2000 there'
    ],
    warned: ['membership.gossipFanout: 3 here, 5 there']
  })
})

t.test('a setting that one side does not know is no difference', async (t) => {
  const ours = settingsOf()
  t.same(differencesOf(ours, [{ name: 'membership.notYet', value: '1' }]), {
    refused: [],
    warned: []
  })
})

t.test('the settings fit their message', async (t) => {
  const all = allSettings(settingsOf())
  t.ok(all.length > 15 && all.length <= joinSettingsMax)
  for (const { name, value } of all) {
    t.ok(name.length <= settingNameBytesMax && value.length <= settingValueBytesMax, name)
    t.not(value, 'undefined', name)
  }
})
