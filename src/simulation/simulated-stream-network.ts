/**
 * Authenticated byte streams between simulated hosts: who listens where, who reaches whom, and who
 * is let in. A handshake shows certificates where hosts have any, and each end judges the other's:
 * as in TLS 1.3, a dialler whom the acceptor refuses has its stream already, and sees it close.
 */
import {
  type Address,
  type BytePipe,
  type ByteStream,
  type Clock,
  DialFailedError,
  type DialOptions,
  ListenFailedError,
  type NodeId,
  type PeerCertificate,
  type PeerIdentity,
  PeerIdentityError,
  type StreamListener,
  type StreamNetwork
} from '../core/index.js'
import type { Links } from './links.js'
import { type Named, type NamedStream, nameOver } from './named-stream.js'
import { Direction, SimulatedStream } from './simulated-stream.js'
import type { SimulatedProcess, VirtualTime } from './virtual-clock.js'

interface Listening {
  readonly process: SimulatedProcess
  readonly identity: PeerIdentity
  readonly trust: StreamTrust | null
  readonly onStream: (stream: ByteStream) => void
}

/** What a process proves itself with, and whom it lets in. */
export interface StreamTrust {
  /** Shown in the next handshake. */
  own(): PeerCertificate
  /** Null: may come in. Otherwise the reason why not. */
  judge(peer: PeerIdentity, certificate: PeerCertificate): string | null
}

/** Who a process is, and where. */
export interface StreamHost {
  readonly process: SimulatedProcess
  readonly clock: Clock
  /** The host's part of its addresses. */
  readonly hostName: string
  readonly identity: PeerIdentity
  /** Absent: names are believed. */
  readonly trust?: StreamTrust
}

export class SimulatedStreamWorld {
  readonly #time: VirtualTime
  readonly #links: Links
  readonly #listening = new Map<Address, Listening>()
  /** Hosts by the name in front of the port. */
  readonly #hosts = new Map<string, number>()
  readonly #directions = new Set<Direction>()
  /** Of processes that judge whom they let in. */
  readonly #judged = new Map<SimulatedProcess, (SimulatedStream | NamedStream)[]>()
  #portCounter = 50_000

  constructor(time: VirtualTime, links: Links) {
    this.#time = time
    this.#links = links
    links.onHeal(() => {
      for (const direction of this.#directions) direction.handleHeal()
    })
  }

  /** The port as one process sees it. */
  networkOf(host: StreamHost): StreamNetwork {
    this.#hosts.set(host.hostName, host.process.host)
    return {
      listen: async (address, onStream) => this.#listen(host, address, onStream),
      dial: (address, options) => this.#dial(host, address, options),
      pipe: (address, deadline) =>
        this.#reach(host, address, { expectedNodeId: null, deadline, isPipe: true })
    }
  }

  /** Streams of a process whose other end has proved itself, and that are open. */
  openEnds(process: SimulatedProcess): readonly ByteStream[] {
    const known = this.#judged.get(process) ?? []
    if (known.every(({ isOpen }) => isOpen)) return known
    const open = known.filter(({ isOpen }) => isOpen)
    this.#judged.set(process, open)
    return open
  }

  #listen(
    host: StreamHost,
    wanted: Address,
    onStream: (stream: ByteStream) => void
  ): StreamListener {
    const address = wanted.endsWith(':0') ? `${wanted.slice(0, -1)}${this.#portCounter++}` : wanted
    if (this.#listening.has(address)) throw new ListenFailedError(`${address} is taken`)
    const { process, identity, trust = null } = host
    const listening = { process, identity, trust, onStream }
    this.#listening.set(address, listening)
    const release = () => {
      if (this.#listening.get(address) === listening) this.#listening.delete(address)
    }
    process.onExit(release)
    return {
      address,
      async close() {
        release()
      }
    }
  }

  #dial(host: StreamHost, address: Address, options: DialOptions): Promise<ByteStream> {
    const { through } = options
    return through === undefined
      ? this.#reach(host, address, options)
      : this.#dialThrough(through, host, address, options)
  }

  #dialThrough(
    pipe: BytePipe,
    host: StreamHost,
    address: Address,
    { deadline, expectedNodeId }: DialOptions
  ): Promise<ByteStream> {
    return new Promise((resolve, reject) => {
      const give = (error: Error) => {
        timer.cancel()
        pipe.destroy()
        reject(error)
      }
      const timer = host.clock.schedule(deadline, () =>
        give(new DialFailedError(`dialling ${address} through a relay: deadline passed`))
      )
      nameOver(pipe, namedOf(host), address, (stream) => {
        if (stream === null) return give(new DialFailedError(`dialling ${address}: closed`))
        if (isOther(stream.peer, host.identity, expectedNodeId)) {
          return give(new PeerIdentityError(`${address} is ${JSON.stringify(stream.peer)}`))
        }
        const refusal = refusalBy(host.trust, stream)
        if (refusal !== null) return give(new PeerIdentityError(refusal))
        this.#watch(host, stream)
        timer.cancel()
        resolve(stream)
      })
    })
  }

  #reach(host: StreamHost, address: Address, options: ReachOptions): Promise<ByteStream> {
    return new Promise((resolve, reject) => {
      const attempt: DialAttempt = { isOver: false, resolve, reject }
      const timer = host.clock.schedule(options.deadline, () => {
        fail(attempt, new DialFailedError(`dialling ${address}: deadline passed`))
      })
      const over = () => timer.cancel()
      const after = this.#links.latencyMs()
      this.#time.post(this.#time.now + after, 'stream.dial', null, () => {
        this.#arrive({ host, address, options, attempt, over })
      })
    })
  }

  /** The dial reaches the other host, or nothing does. */
  #arrive(dial: Dial): void {
    const { host, address, attempt } = dial
    const target = this.#hosts.get(address.slice(0, address.lastIndexOf(':')))
    if (target !== undefined && this.#links.meetCut(host.process.host, target)) return
    const listening = this.#listening.get(address)
    if (listening === undefined) {
      this.#backAtDialler(dial, target, () => {
        fail(attempt, new DialFailedError(`dialling ${address}: refused`))
      })
      return
    }
    this.#time.post(this.#time.now, 'stream.accept', listening.process, () => {
      if (this.#listening.get(address) === listening && !attempt.isOver) {
        this.#accept(dial, listening)
      }
    })
  }

  #accept(dial: Dial, listening: Listening): void {
    const { host, address, options, attempt } = dial
    const { identity } = listening
    if (isOther(identity, host.identity, options.expectedNodeId)) {
      this.#backAtDialler(dial, listening.process.host, () => {
        fail(attempt, new PeerIdentityError(`${address} is ${JSON.stringify(identity)}`))
      })
      return
    }
    const from = `${host.hostName}:${this.#portCounter++}`
    const near = new SimulatedStream(this.#time, host.process, namedOf(listening), address)
    const far = new SimulatedStream(this.#time, listening.process, namedOf(host), from)
    this.#connect(near, far)
    if (options.isPipe === true) this.#askName(far, listening, from)
    else this.#letIn(far, listening)
    this.#backAtDialler(dial, listening.process.host, () => {
      const refusal = options.isPipe === true ? null : refusalBy(host.trust, near)
      if (attempt.isOver || refusal !== null) {
        near.destroy()
        if (refusal !== null) fail(attempt, new PeerIdentityError(refusal))
        return
      }
      attempt.isOver = true
      if (options.isPipe !== true) this.#watch(host, near)
      attempt.resolve(near)
    })
  }

  #letIn(stream: SimulatedStream | NamedStream, listening: Listening): void {
    if (refusalBy(listening.trust, stream) !== null) {
      stream.destroy()
      return
    }
    this.#watch(listening, stream)
    listening.onStream(stream)
  }

  #watch(
    { process, trust }: Pick<StreamHost, 'process'> & { readonly trust?: StreamTrust | null },
    stream: SimulatedStream | NamedStream
  ): void {
    if (!trust) return
    const known = this.#judged.get(process)
    if (known !== undefined) {
      known.push(stream)
      return
    }
    this.#judged.set(process, [stream])
    process.onExit(() => this.#judged.delete(process))
  }

  /** Whoever comes by a pipe has not said who it is. */
  #askName(far: SimulatedStream, listening: Listening, from: Address): void {
    nameOver(far, namedOf(listening), from, (stream) => {
      if (stream === null) return
      if (stream.peer.clusterName !== listening.identity.clusterName) stream.destroy()
      else this.#letIn(stream, listening)
    })
  }

  #backAtDialler(dial: Dial, from: number | undefined, run: () => void): void {
    const { process } = dial.host
    this.#time.post(this.#time.now + this.#links.latencyMs(), 'stream.answer', null, () => {
      if (from !== undefined && this.#links.meetCut(from, process.host)) return
      this.#time.post(this.#time.now, 'stream.dialled', process, () => {
        dial.over()
        run()
      })
    })
  }

  #connect(a: SimulatedStream, b: SimulatedStream): void {
    const there = new Direction(this.#time, this.#links, a, b)
    const back = new Direction(this.#time, this.#links, b, a)
    for (const direction of [there, back]) this.#directions.add(direction)
    const forget = () => {
      this.#directions.delete(there)
      this.#directions.delete(back)
    }
    let open = 2
    const onGone = () => {
      if (--open === 0) forget()
    }
    a.connect(there, onGone)
    b.connect(back, onGone)
  }
}

interface ReachOptions extends DialOptions {
  /** The other end is not told who comes. */
  readonly isPipe?: boolean
}

const namedOf = ({
  identity,
  trust
}: Pick<StreamHost, 'identity'> & { readonly trust?: StreamTrust | null }): Named => ({
  identity,
  certificate: trust?.own() ?? null
})

/** Whoever shows no certificate is a client of these worlds, and believed. */
function refusalBy(
  trust: StreamTrust | null | undefined,
  { peer, certificate }: Pick<ByteStream, 'peer' | 'certificate'>
): string | null {
  return !trust || certificate === null ? null : trust.judge(peer, certificate)
}

const isOther = (found: PeerIdentity, self: PeerIdentity, expected: NodeId | null): boolean =>
  found.kind !== 'node' ||
  found.clusterName !== self.clusterName ||
  (expected !== null && expected !== found.nodeId)

interface DialAttempt {
  isOver: boolean
  readonly resolve: (stream: ByteStream) => void
  readonly reject: (error: Error) => void
}

interface Dial {
  readonly host: StreamHost
  readonly address: Address
  readonly options: ReachOptions
  readonly attempt: DialAttempt
  readonly over: () => void
}

function fail(attempt: DialAttempt, error: Error): void {
  if (attempt.isOver) return
  attempt.isOver = true
  attempt.reject(error)
}
