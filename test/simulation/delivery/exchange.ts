import type { Reliability } from '../../../src/core/index.js'
import { codeOf, DeliveryWorld, type Process } from '../../support/delivery-world.js'
import type { MemoryStream } from '../../support/memory-streams.js'

/** What becomes of the connection when so many bytes were delivered in one direction. */
export const Breaks = {
  /** Both ends learn of it. */
  Reset: 'reset',
  /** Nothing arrives any more in either direction, and the end that dialled learns of it late:
   * the other one connects anew meanwhile, and the old connection is still there. */
  HalfOpen: 'halfOpen',
  ReceiverRestarts: 'receiverRestarts',
  SenderRestarts: 'senderRestarts'
} as const
export type Break = (typeof Breaks)[keyof typeof Breaks]

export interface ExchangePlan {
  readonly reliability: Reliability
  readonly what: Break
  /** Of the first connection: what its dialler sends, or what its acceptor sends. */
  readonly direction: 'dialler' | 'acceptor'
  readonly atByte: number
}

export interface Exchange {
  readonly faults: readonly string[]
  readonly outcomes: Readonly<Record<string, number>>
  readonly duplicates: number
  readonly retries: number
  /** What the first connection carried in each direction. */
  readonly deliveredBytes: readonly [number, number]
}

const messagesEachWay = 25
const burstLength = 5
const config = { delivery: { timeoutMs: 30_000 } }

interface Sent {
  readonly from: Process
  readonly number: number
  readonly outcome: Promise<string>
}

/** Fifty messages, half of them each way, in bursts, and a connection that breaks once. */
export async function exchange(plan: ExchangePlan): Promise<Exchange> {
  const world = new DeliveryWorld()
  const a = await world.start('a', config)
  const b = await world.start('b', config)
  const lives: Process[] = [a, b]
  const sent: Sent[] = []
  const send = (from: Process, to: string, first: number) => {
    for (let i = 0; i < burstLength; i++) {
      const number = first + i
      const outcome = codeOf(from.send(to, number, { reliability: plan.reliability }))
      sent.push({ from, number, outcome })
    }
  }
  send(a, 'b', 0)
  await world.clock.until(() => world.hub.ends.length === 2)
  const ends = world.hub.newest
  const watched = ends[plan.direction === 'dialler' ? 0 : 1]
  watched.breakAfterBytes = plan.atByte
  watched.onBroken = () => {
    watched.breakAfterBytes = Number.POSITIVE_INFINITY
    breakNow(world, plan.what, lives, ends)
  }
  for (let first = 0; first < messagesEachWay; first += burstLength) {
    await world.clock.advance(1)
    if (first > 0) send(lives[0] as Process, 'b', first)
    send(lives[1] as Process, 'a', 100 + first)
  }
  const all = Promise.all(sent.map(async (one) => ({ ...one, outcome: await one.outcome })))
  await world.clock.advance(60_000)
  const dead = lives.slice(2).length === 0 ? [] : [plan.what === 'senderRestarts' ? a : b]
  const told = await Promise.race([all, leftBy(dead, sent)])
  return judge(plan, lives, told, ends)
}

/** A process that was killed tells nobody what became of its messages. */
async function leftBy(dead: readonly Process[], sent: readonly Sent[]) {
  return Promise.all(
    sent.map(async (one) => ({
      ...one,
      outcome: dead.includes(one.from) ? 'killed' : await one.outcome
    }))
  )
}

function breakNow(
  world: DeliveryWorld,
  what: Break,
  lives: Process[],
  ends: readonly [MemoryStream, MemoryStream]
): void {
  switch (what) {
    case Breaks.Reset:
      ends[0].break()
      return
    case Breaks.HalfOpen:
      for (const end of ends) end.isSilent = true
      ends[1].break()
      return
    case Breaks.ReceiverRestarts:
    case Breaks.SenderRestarts: {
      const at = what === Breaks.SenderRestarts ? 0 : 1
      const process = lives[at] as Process
      // What was on its way behind the byte does not arrive.
      for (const end of ends) end.isSilent = true
      process.kill()
      void world.start(process.nodeId, config).then((again) => {
        lives[at] = again
        lives.push(process)
      })
    }
  }
}

function judge(
  plan: ExchangePlan,
  lives: readonly Process[],
  told: readonly { from: Process; number: number; outcome: string }[],
  ends: readonly [MemoryStream, MemoryStream]
): Exchange {
  const faults: string[] = []
  const outcomes: Record<string, number> = {}
  const isKilled = plan.what === 'receiverRestarts' || plan.what === 'senderRestarts'
  for (const { from, number, outcome } of told) {
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    const handled = lives.flatMap(({ handled }) => handled.filter((one) => one.number === number))
    const times = handled.length
    const say = (what: string) => faults.push(`${number} of ${from.nodeId}: ${what}`)
    if (times > 1) say(`handled ${times} times`)
    if (outcome === 'ok' && times !== 1) say(`acknowledged, handled ${times} times`)
    if (outcome === 'ERR_SKEIN_UNDELIVERED' && times > 0) say('said undelivered, was handled')
    if (isKilled) {
      const allowed = ['ok', 'ERR_SKEIN_INDETERMINATE', 'ERR_SKEIN_UNDELIVERED', 'killed']
      if (!allowed.includes(outcome)) say(`ends with ${outcome}`)
    } else if (outcome !== 'ok') say(`ends with ${outcome}`)
  }
  for (const { nodeId, handled } of lives) {
    if (plan.reliability === 'ordered') {
      const numbers = handled.map(({ number }) => number)
      const sorted = [...numbers].sort((x, y) => x - y)
      if (numbers.join() !== sorted.join()) faults.push(`${nodeId} handled ${numbers.join()}`)
    }
    if (!isKilled && handled.some(({ skipped }) => skipped > 0)) {
      faults.push(`${nodeId} was told of a gap`)
    }
  }
  const sum = (name: 'duplicates' | 'retries') =>
    lives.reduce((total, { delivery }) => total + delivery.counters.get(name), 0)
  return {
    faults,
    outcomes,
    duplicates: sum('duplicates'),
    retries: sum('retries'),
    deliveredBytes: [ends[0].deliveredBytes, ends[1].deliveredBytes]
  }
}
