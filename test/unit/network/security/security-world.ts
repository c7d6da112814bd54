/** Members with their security drivers over memory streams, datagrams and disks. */

import type { SecurityEvent } from '../../../../src/core/events.js'
import type { NodeId } from '../../../../src/core/ids.js'
import { type Logger, resolveConfig, SplittableRandom } from '../../../../src/core/index.js'
import type { Credentials } from '../../../../src/core/ports/credentials.js'
import { SecurityDriver } from '../../../../src/network/security/security-driver.js'
import { nodeCrypto } from '../../../../src/runtime/node-crypto.js'
import { simulatedCrypto } from '../../../../src/simulation/simulated-crypto.js'
import { MemoryDisk } from '../../../support/memory-disk.js'
import { type DriverNode, DriverWorld, groupKey } from '../membership/driver-world.js'

export interface SecureNode extends DriverNode {
  readonly disk: MemoryDisk
  readonly security: SecurityDriver
  readonly told: SecurityEvent[]
}

export const securityConfig = resolveConfig({
  code: {
    node: { id: 'a', dataDirectory: 'data' },
    security: { insecure: true },
    cluster: { bootstrap: { voters: ['a'] } }
  }
}).security

export class SecurityWorld extends DriverWorld {
  /** Everything that was given to a logger. */
  readonly logged: unknown[] = []
  #seeds = 0

  /** A node whose disk is kept from an earlier life where one is given. */
  async secure(
    name: string,
    {
      disk = new MemoryDisk(),
      gossipKeys = [groupKey],
      credentials
    }: {
      readonly disk?: MemoryDisk
      readonly gossipKeys?: readonly Uint8Array[]
      readonly credentials?: Credentials
    } = {}
  ): Promise<SecureNode> {
    const node = await this.start(name, { gossipKeys })
    const random = SplittableRandom.fromSeed(10_000 + ++this.#seeds)
    const security = new SecurityDriver(
      {
        clock: this.clock,
        random,
        crypto: simulatedCrypto(nodeCrypto(), random.split('crypto')),
        disk,
        logger: this.#logger(),
        messenger: node.transport,
        transport: node.transport,
        credentials,
        members: () => node.driver.members(),
        onKeys: (keys) => node.driver.setGossipKeys(keys)
      },
      { nodeId: name as NodeId, gossipKeys, config: securityConfig }
    )
    const told: SecurityEvent[] = []
    security.onEvent((event) => told.push(event))
    await security.start()
    return Object.assign(node, { disk, security, told })
  }

  /** n0…, all joined through n0, and settled. */
  async secured(count: number): Promise<SecureNode[]> {
    const nodes: SecureNode[] = []
    for (let i = 0; i < count; i++) {
      const node = await this.secure(`n${i}`)
      nodes.push(node)
      if (i > 0) await this.join(node, [nodes[0] as SecureNode])
    }
    await this.clock.until(() => this.isConverged(), 10_000)
    await this.clock.advance(5_000)
    return nodes
  }

  #logger(): Logger {
    const log = (fields: object, message: string) => {
      this.logged.push([fields, message])
    }
    return { debug: log, info: log, warn: log, error: log, child: () => this.#logger() }
  }

  /** Its process is gone; its disk stays. */
  async crash(node: SecureNode): Promise<void> {
    node.security.stop()
    await this.kill(node)
  }

  refusedDatagrams(): number {
    return this.running().reduce(
      (sum, { driver }) => sum + Object.values(driver.refusals).reduce((a, b) => a + b, 0),
      0
    )
  }

  /** The value, or the code of the error. */
  outcome<T>(promise: Promise<T>): Promise<unknown> {
    return this.transports.outcome(promise)
  }
}
