/** An engine with crash points around what it makes durable, and what a group keeps in it. */
import type {
  Engine,
  EngineRestore,
  EngineSnapshot,
  SystemWrite
} from '../../../src/core/ports/engine.js'
import type { CrashPoints } from './crash-points.js'

export function crashingEngine(engine: Engine, points: CrashPoints): Engine {
  const changed: Partial<Engine> = {
    apply: (...args) => applying(points, args[1], () => engine.apply(...args)),
    flush: () => around(points, 'flush', () => engine.flush()),
    ...copying(engine, points)
  }
  return new Proxy(engine, {
    get(target, name) {
      const own: unknown = Reflect.get(changed, name)
      if (own !== undefined) return own
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

function copying(engine: Engine, points: CrashPoints): Partial<Engine> {
  const { snapshot, beginSnapshot, restore } = engine
  const copied = (copy: () => Promise<EngineSnapshot>) => around(points, 'snapshot_copy', copy)
  return {
    ...(snapshot === undefined ? {} : { snapshot: () => copied(() => snapshot.call(engine)) }),
    ...(beginSnapshot === undefined
      ? {}
      : {
          beginSnapshot: async () => {
            const start = await beginSnapshot.call(engine)
            return {
              pin: () => start.pin(),
              copy: () => copied(() => start.copy()),
              abandon: () => start.abandon()
            }
          }
        }),
    ...(restore === undefined
      ? {}
      : {
          restore: async (...args: Parameters<typeof restore>) =>
            restoring(await restore.call(engine, ...args), points)
        })
  }
}

const restoring = (restore: EngineRestore, points: CrashPoints): EngineRestore => ({
  ...(restore.lasting === undefined ? {} : { lasting: restore.lasting }),
  abandon: () => restore.abandon(),
  async write(offset, bytes) {
    await restore.write(offset, bytes)
    points.hit('restore_write.after')
  },
  finish(writes) {
    return around(points, 'restore_finish', () => {
      points.hitSoon('restore_finish.within')
      return restore.finish(writes)
    })
  }
})

async function applying(
  points: CrashPoints,
  writes: readonly SystemWrite[],
  apply: () => Promise<void>
): Promise<void> {
  const steps = stepsOf(writes)
  for (const step of steps) points.hit(`${step}.before`)
  await apply()
  for (const step of steps) points.hit(`${step}.after`)
}

/** What an apply means to the transactions of its group, by the keys that it writes. */
function stepsOf(writes: readonly SystemWrite[]) {
  const steps = new Set<'apply' | 'prepare_apply' | 'decision_apply' | 'branch_end_apply'>([
    'apply'
  ])
  for (const { key, value } of writes) {
    if (key.startsWith('transaction/branch/')) {
      steps.add(value === null ? 'branch_end_apply' : 'prepare_apply')
    }
    if (key.startsWith('transaction/decision/') && value !== null) steps.add('decision_apply')
  }
  return steps
}

async function around<T>(
  points: CrashPoints,
  step: 'flush' | 'snapshot_copy' | 'restore_finish',
  work: () => Promise<T>
): Promise<T> {
  points.hit(`${step}.before`)
  const answer = await work()
  points.hit(`${step}.after`)
  return answer
}
