/** S-06: the precedence of news, as one table and in every order. */
import t from 'tap'
import {
  type Incarnation,
  type MonotonicMs,
  type NodeId,
  SplittableRandom,
  unstatedCapacity
} from '../../../../src/core/index.js'
import type { DatagramMessage } from '../../../../src/network/membership/messages.js'
import { Swim } from '../../../../src/network/membership/swim.js'
import { membershipConfig } from './swim-world.js'

const subject = 'a' as NodeId
const now = 0 as MonotonicMs
const kinds = ['alive', 'suspect', 'dead', 'left'] as const
type Kind = (typeof kinds)[number]

interface News {
  readonly kind: Kind
  readonly incarnation: number
}

function messageOf({ kind, incarnation }: News): DatagramMessage {
  const at = incarnation as Incarnation
  if (kind === 'suspect' || kind === 'dead') {
    return { kind, nodeId: subject, incarnation: at, accuser: 'x' as NodeId }
  }
  return {
    kind: 'statement',
    statement: {
      nodeId: subject,
      incarnation: at,
      address: 'a:1',
      lifecycle: kind === 'left' ? 'left' : 'up',
      health: 'healthy',
      datacenter: '',
      rack: '',
      metadata: {},
      capacity: unstatedCapacity,
      tags: [],
      versionMin: 1,
      bornAt: 0,
      versionMax: 1
    }
  }
}

const config = membershipConfig()

function afterHearing(news: readonly News[]): News {
  const swim = new Swim(
    { random: SplittableRandom.fromSeed(1) },
    {
      nodeId: 'me' as NodeId,
      address: 'me:1',
      datacenter: '',
      rack: '',
      metadata: {},
      capacity: unstatedCapacity,
      tags: [],
      versions: { min: 1, max: 1 },
      bornAt: 0 as never,
      config
    },
    now
  )
  const from = { nodeId: 'x' as NodeId, address: 'x:1' }
  for (const one of news) swim.receive(messageOf(one), from, now)
  const member = swim.member(subject)
  if (member === null) throw new Error('the subject is gone')
  const kind = member.lifecycle === 'left' ? 'left' : member.liveness
  return { kind, incarnation: member.incarnation }
}

/** The rule, written out case by case. */
function dumbNext(held: News, heard: News): News {
  if (heard.incarnation < held.incarnation) return held
  const isSame = heard.incarnation === held.incarnation
  switch (heard.kind) {
    case 'alive':
      return isSame ? held : heard
    case 'left':
      return heard
    case 'suspect':
      if (held.kind === 'dead' || held.kind === 'left') return held
      return isSame && held.kind === 'suspect' ? held : heard
    case 'dead':
      return held.kind === 'left' ? held : heard
  }
}

const incarnations = [1, 2, 3]
const everyNews: readonly News[] = incarnations.flatMap((incarnation) =>
  kinds.map((kind) => ({ kind, incarnation }))
)

t.test('every pair, triple and quadruple of news ends as the table says', async (t) => {
  const start: News = { kind: 'alive', incarnation: 1 }
  let cases = 0
  const check = (told: readonly News[]): void => {
    cases++
    const expected = told.reduce(dumbNext, start)
    const found = afterHearing([start, ...told])
    if (found.kind !== expected.kind || found.incarnation !== expected.incarnation) {
      t.fail(`${JSON.stringify(told)}: ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`)
    }
  }
  for (const a of everyNews) {
    check([a])
    for (const b of everyNews) {
      check([a, b])
      for (const c of everyNews) {
        check([a, b, c])
        for (const d of everyNews) if (c.kind !== d.kind) check([a, b, c, d])
      }
    }
  }
  t.equal(cases, 12 + 144 + 1_728 + 1_728 * 9)
})

t.test('within one life the order of news does not matter', async (t) => {
  const random = SplittableRandom.fromSeed(6)
  const ranks: Record<Kind, number> = { alive: 0, suspect: 1, dead: 2, left: 3 }
  for (let run = 0; run < 2_000; run++) {
    // A death or a goodbye ends a life; what precedes it may come in any order.
    const life = everyNews.filter(({ kind }) => kind === 'alive' || kind === 'suspect')
    const last = everyNews.filter(({ kind, incarnation }) => incarnation === 3 && kind !== 'alive')
    const told = Array.from({ length: 6 }, () => life[random.nextInt(life.length)] as News)
    told.splice(random.nextInt(7), 0, last[random.nextInt(last.length)] as News)
    const expected = told.reduce((best, one) =>
      one.incarnation - best.incarnation || ranks[one.kind] - ranks[best.kind] > 0
        ? one.incarnation >= best.incarnation
          ? one
          : best
        : best
    )
    const found = afterHearing([{ kind: 'alive', incarnation: 1 }, ...told])
    if (found.kind !== expected.kind || found.incarnation !== expected.incarnation) {
      t.fail(`${JSON.stringify(told)}: ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`)
    }
  }
  t.pass('2,000 orders')
})
