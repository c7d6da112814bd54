/**
 * A node like `skein node`, on a disk that forgets what was not synced when the process is killed,
 * and that kills itself at the crash point that it was told. Arguments: the configuration file, a
 * seed that says which un-synced writes reach the disk nevertheless, and `POINT:HITS`, if one is to
 * be armed from the beginning; others are ordered over the channel to the parent.
 */
import { writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createAdminServer, parseTokens } from '../../lib/admin.js'
import { ClusterNetworkManager } from '../../lib/cluster-network-manager.js'
import { sqliteEngine } from '../../lib/sqlite.js'
import { readConfig } from '../../src/cli/config-file.js'
import { failureOf } from '../../src/cli/node-failure.js'
import { type RunningNode, runNode } from '../../src/cli/node-runner.js'
import {
  type Config,
  type ConfigInput,
  type Logger,
  SplittableRandom
} from '../../src/core/index.js'
import { NodeDisk, nodeLogger } from '../../src/runtime/index.js'
import { crashingDisk } from './crash-points/crash-disk.js'
import { crashingObserver } from './crash-points/crash-observer.js'
import { type CrashOrder, CrashPoints, parseArmed } from './crash-points/crash-points.js'
import { keepingCopies } from './engine-keeper.js'
import { VolatileDisk } from './volatile-disk.js'
import type { WriteBack } from './volatile-file.js'

/** Half of the un-synced writes stay in memory; a quarter is torn. */
function writeBackBy(seed: number): WriteBack {
  const random = SplittableRandom.fromSeed(seed)
  return (sizeBytes) => {
    const fate = random.nextInt(4)
    if (fate < 2) return 0
    return fate === 2 ? sizeBytes : random.nextInt(sizeBytes + 1)
  }
}

const points = new CrashPoints(
  (point) => {
    writeSync(2, `crash point ${point}\n`)
    process.kill(process.pid, 'SIGKILL')
  },
  (callback) => void setTimeout(callback, 1)
)

/** What clients are told over HTTP, with crash points around it. */
function answering(manager: ClusterNetworkManager): ClusterNetworkManager {
  return new Proxy(manager, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name !== 'executeQuery') return value.bind(target)
      return async (...args: readonly unknown[]) => {
        const answer: unknown = await value.apply(target, args)
        points.hit('client_answer.before')
        points.hitSoon('client_answer.after')
        return answer
      }
    }
  })
}

async function start(config: Config, seed: number, logger: Logger): Promise<RunningNode> {
  const volatile = new VolatileDisk(new NodeDisk(config.node.dataDirectory), writeBackBy(seed))
  const manager = ClusterNetworkManager.create({
    config: config as ConfigInput,
    // In the node's process, so that it dies with it.
    engine: keepingCopies(sqliteEngine({ ...config.engine, isolation: 'thread' })),
    overrides: {
      logger,
      disk: crashingDisk(volatile, points),
      observer: crashingObserver(points)
    }
  })
  const failed = failureOf(manager)
  await manager.start()
  const { listenAddress = '', tokenFile = '', clientRoles, eventSubscribersMax } = config.admin
  const server = createAdminServer(answering(manager), {
    listenAddress,
    tokens: parseTokens(await readFile(tokenFile, 'utf8'), tokenFile),
    tls: null,
    clientRoles,
    logger,
    eventSubscribersMax
  })
  const { address } = await server.start()
  return {
    manager,
    admin: `http://${address}`,
    failed,
    async stop({ drain } = { drain: true }) {
      await manager.stop({ drain })
      await server.stop()
    }
  }
}

const [, , configFile = '', seed = '0', armed] = process.argv
if (armed !== undefined) points.arm(parseArmed(armed))
process.on('message', (order: CrashOrder) => points.arm(order.armed))
const logger = nodeLogger({ level: 'info', bindings: {}, fileDescriptor: 2 })
const exitCode = await runNode(process, logger, async () => {
  const config = await readConfig(configFile, {})
  return start(config, Number(seed), logger.child({ node: config.node.id }))
})
process.exit(exitCode)
