/**
 * A process full of members: each with its own transport over plain TCP and its own datagrams over
 * UDP, sealed with the group's key, on ports of its own.
 */

import type { MonotonicMs, NodeId } from '../../src/core/index.js'
import { resolveConfig, silentLogger, unstatedCapacity } from '../../src/core/index.js'
import {
  controlMessages,
  joinSettingsOf,
  MembershipDriver,
  membershipMessages,
  TransportDriver
} from '../../src/network/index.js'
import {
  BoundPorts,
  nodeClock,
  nodeCrypto,
  nodeRandom,
  PlainStreamNetwork,
  UdpDatagramNetwork
} from '../../src/runtime/index.js'
import { Catalogue } from '../../src/wire/index.js'
import type { Command, Told, Usage } from './protocol.js'

const clusterName = 'bench'
const groupKey = new Uint8Array(32).fill(42)
const joinTimeoutMs = 60_000

interface HostedMember {
  readonly nodeId: NodeId
  readonly address: string
  readonly membership: MembershipDriver
  readonly transport: TransportDriver
}

const emptyRssBytes = process.memoryUsage().rss
const clock = nodeClock()
const members = new Map<string, HostedMember>()
const config = resolveConfig({
  code: {
    node: { id: 'n', dataDirectory: 'n' },
    cluster: { name: clusterName, bootstrap: { voters: ['n'] } },
    security: { insecure: true }
  }
})

process.on('message', (command: Command) => {
  carryOut(command).catch((error) => {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
    process.exit(1)
  })
})
process.on('disconnect', () => process.exit(0))

async function carryOut(command: Command): Promise<void> {
  switch (command.kind) {
    case 'start':
      for (const nodeId of command.nodeIds) {
        members.set(nodeId, await start(nodeId as NodeId, command.all))
      }
      tell({
        kind: 'started',
        members: [...members.values()].map(({ nodeId, address }) => ({ nodeId, address }))
      })
      return
    case 'join':
      for (const { membership } of members.values()) {
        const deadline = (clock.now() + joinTimeoutMs) as MonotonicMs
        membership.join([command.seed], deadline).catch((error) => {
          process.stderr.write(`${error}\n`)
        })
      }
      return
    case 'set':
      members.get(command.nodeId)?.membership.metadata.set(command.key, command.value)
      return
    case 'kill':
      await kill(command.nodeId)
      return
    case 'usage':
      tell({ kind: 'usage', usage: usage() })
      return
    case 'stop':
      for (const nodeId of [...members.keys()]) await kill(nodeId)
      process.exit(0)
  }
}

async function start(nodeId: NodeId, all: number): Promise<HostedMember> {
  const random = nodeRandom()
  const crypto = nodeCrypto()
  const identity = { kind: 'node', nodeId, clusterName } as const
  const { handshakeTimeoutMs, handshakesMax } = config.transport
  const bound = await BoundPorts.bind(
    {
      streams: new PlainStreamNetwork(
        { clock, logger: silentLogger },
        { self: identity, handshakeTimeoutMs, handshakesMax }
      ),
      datagrams: new UdpDatagramNetwork({ logger: silentLogger })
    },
    '127.0.0.1:0'
  )
  const { address } = bound
  const transport: TransportDriver = new TransportDriver(
    {
      clock,
      random: random.split('transport'),
      streams: bound.streams,
      catalogue: new Catalogue([...controlMessages, ...membershipMessages]),
      logger: silentLogger,
      addressOf: (other) => membership.addressOf(other),
      nonces: crypto
    },
    {
      identity,
      clusterId: () => null,
      onPeerClusterId: () => {},
      listenAddress: address,
      config: config.transport,
      restrictions: config.security.messageRestrictions,
      linkAgeMaxMs: config.security.linkAgeMaxMs,
      sameIdentity: config.security.sameIdentity
    }
  )
  const membership: MembershipDriver = new MembershipDriver(
    {
      clock,
      random: random.split('membership'),
      crypto,
      datagrams: bound.datagrams,
      messenger: transport,
      logger: silentLogger
    },
    {
      nodeId,
      clusterName,
      clusterId: () => null,
      gossipKeys: [groupKey],
      advertiseAddress: address,
      bindAddress: address,
      datacenter: '',
      rack: '',
      metadata: {},
      capacity: unstatedCapacity,
      tags: [],
      versions: { min: 1, max: 1 },
      clusterVersion: () => null,
      settings: joinSettingsOf(config),
      config: config.membership
    }
  )
  listen(nodeId, membership, all)
  await transport.start()
  await membership.start()
  membership.setLifecycle('up')
  return { nodeId, address, membership, transport }
}

function listen(viewer: NodeId, membership: MembershipDriver, all: number): void {
  let isComplete = false
  membership.onEvent((event) => {
    const atMs = Date.now()
    if (event.type === 'MemberJoined' && !isComplete) {
      isComplete = membership.aliveMembers().length === all
      if (isComplete) tell({ kind: 'complete', viewer, atMs })
    } else if (event.type === 'MetadataChanged') {
      tell({ kind: 'metadata', viewer, key: event.key, atMs })
    } else if (event.type === 'MemberSuspected' || event.type === 'MemberDied') {
      const kind = event.type === 'MemberDied' ? 'dead' : 'suspected'
      tell({ kind, viewer, nodeId: event.member.nodeId, atMs })
    }
  })
}

/** Without a word to the others. */
async function kill(nodeId: string): Promise<void> {
  const member = members.get(nodeId)
  members.delete(nodeId)
  await member?.membership.stop()
  await member?.transport.stop()
}

function usage(): Usage {
  const { user, system } = process.cpuUsage()
  let datagrams = 0
  let bytes = 0
  for (const { membership } of members.values()) {
    datagrams += membership.counters.datagrams_sent
    bytes += membership.counters.datagram_bytes_sent
  }
  const { rss } = process.memoryUsage()
  const cpuMs = (user + system) / 1_000
  return {
    members: members.size,
    atMs: Date.now(),
    datagrams,
    bytes,
    cpuMs,
    rssBytes: rss,
    emptyRssBytes
  }
}

function tell(told: Told): void {
  process.send?.(told)
}
