import t from 'tap'
import { echo, node, note, TransportWorld } from '../../../support/transport-world.js'

interface Told {
  readonly outcome: unknown
  readonly executed: number
  readonly afterwards: unknown
}

/** One request on a connection that breaks after so many bytes in one direction. */
async function exchange(end: 0 | 1, breakAfterBytes: number): Promise<Told> {
  const world = new TransportWorld()
  const a = await world.start('a')
  const b = await world.start('b')
  let executed = 0
  b.onMessage(note, () => {})
  b.onRequest(echo, async ({ body }) => {
    executed++
    return { count: body.count + 1 }
  })
  const request = world.outcome(a.request(node('b'), echo, { count: 1 }, world.deadline(5_000)))
  await world.clock.until(() => world.hub.ends.length === 2)
  world.hub.newest[end].breakAfterBytes = breakAfterBytes
  const outcome = await request
  const atOutcome = executed
  await world.clock.advance(500)
  const again = a.request(node('b'), echo, { count: 5 }, world.deadline(5_000))
  const afterwards = await world.outcome(again)
  return { outcome, executed: atOutcome, afterwards }
}

/** Bytes that flow in each direction when nothing breaks. */
async function bytesOfCalm(): Promise<readonly [number, number]> {
  const world = new TransportWorld()
  const a = await world.start('a')
  const b = await world.start('b')
  b.onRequest(echo, async ({ body }) => ({ count: body.count + 1 }))
  await world.outcome(a.request(node('b'), echo, { count: 1 }, world.deadline(5_000)))
  const [dialler, acceptor] = world.hub.newest
  return [dialler.deliveredBytes, acceptor.deliveredBytes]
}

for (const end of [0, 1] as const) {
  t.test(`broken at every byte of what the ${['dialler', 'acceptor'][end]} sends`, async (t) => {
    const length = (await bytesOfCalm())[end]
    t.ok(length > 100 && length < 1_000, `${length} bytes`)
    const outcomes = new Set<unknown>()
    for (let at = 0; at < length; at++) {
      const { outcome, executed, afterwards } = await exchange(end, at)
      outcomes.add(outcome)
      t.ok(executed <= 1, `byte ${at}: executed at most once`)
      if (outcome === 'ERR_SKEIN_NOT_SENT') t.equal(executed, 0, `byte ${at}: not sent, not done`)
      else t.equal(outcome, 'ERR_SKEIN_CONNECTION_LOST', `byte ${at}`)
      t.same(afterwards, { count: 6 }, `byte ${at}: the next connection works`)
    }
    t.same([...outcomes], ['ERR_SKEIN_NOT_SENT', 'ERR_SKEIN_CONNECTION_LOST'])
    t.same((await exchange(end, length + 1)).outcome, { count: 2 })
  })
}
