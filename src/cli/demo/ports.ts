import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { CliError, usageError } from '../exit-codes.js'

export interface NodePorts {
  /** TCP and UDP, between the nodes. */
  readonly cluster: number
  readonly admin: number
}

/** Below the range from which systems give outgoing connections their ports. */
const pickedPorts = { from: 20_000, to: 32_000 } as const
const pickAttempts = 200

/**
 * Two ports for each node: consecutive ones from `first`, or any that are free.
 *
 * @throws CliError exit status 2 when one of the named ports is in use
 */
export async function choosePorts(
  nodeIds: readonly string[],
  first: number
): Promise<ReadonlyMap<string, NodePorts>> {
  const chosen = new Map<string, NodePorts>()
  for (const [i, id] of nodeIds.entries()) {
    chosen.set(id, first === 0 ? await pickFree(chosen) : await expectFree(first + 2 * i))
  }
  return chosen
}

async function expectFree(port: number): Promise<NodePorts> {
  for (const one of [port, port + 1]) {
    if (await isFree(one)) continue
    throw usageError(`port ${one} is in use; name another with --port, or 0 for free ones`)
  }
  return { cluster: port, admin: port + 1 }
}

async function pickFree(taken: ReadonlyMap<string, NodePorts>): Promise<NodePorts> {
  const used = new Set([...taken.values()].map(({ cluster }) => cluster))
  for (let attempt = 0; attempt < pickAttempts; attempt++) {
    const port = 2 * randomInt(pickedPorts.from / 2, pickedPorts.to / 2)
    if (used.has(port)) continue
    if ((await isFree(port)) && (await isFree(port + 1))) return { cluster: port, admin: port + 1 }
  }
  throw new CliError('found no free ports; name some with --port')
}

async function isFree(port: number): Promise<boolean> {
  return (await isFreeForStreams(port)) && (await isFreeForDatagrams(port))
}

function isFreeForStreams(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(true))
    })
  })
}

function isFreeForDatagrams(port: number): Promise<boolean> {
  const socket = createSocket('udp4')
  return new Promise((resolve) => {
    socket.once('error', () => resolve(false))
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => {
      socket.close(() => resolve(true))
    })
  })
}
