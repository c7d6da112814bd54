/**
 * A node as a process: it stops on SIGTERM, on SIGINT when a person runs it, when the supervisor
 * that spawned it is gone, and when a rolling restart comes to it. Being told to stop twice, or
 * stopping for too long, ends it at once.
 */
import type { ClusterManager, EventSubscription, Logger } from '../core/index.js'
import { factsOf } from '../core/index.js'
import type { RestartHook } from '../failover/index.js'
import { type ExitCode, ExitCodes } from './exit-codes.js'
import type { NodeMessage } from './node-channel.js'

/** A started node. */
export interface RunningNode {
  readonly manager: ClusterManager
  /** Base URL of the admin API. */
  readonly admin: string | null
  /** Hands over, leaves, drains, releases; without draining it releases alone. */
  stop(options?: { readonly drain: boolean }): Promise<void>
  /** Rejects with what this process cannot go on after; settles in no other way. */
  readonly failed: Promise<never>
}

/** What of the process the runner touches. */
export interface NodeHost {
  on(event: string, listener: () => void): unknown
  send?(message: NodeMessage, callback: (error: Error | null) => void): unknown
  readonly connected?: boolean
  exit(code: number): void
}

/** Under the supervisor's own patience of ten seconds. */
export const stopTimeoutMs = 9_000

/**
 * Resolves with the exit status when the node has stopped: `Restart` after a call of the hook that
 * `start` is given. Who passes the hook on knows that the process is started again.
 */
export async function runNode(
  host: NodeHost,
  logger: Logger,
  start: (hook: RestartHook) => Promise<RunningNode>
): Promise<ExitCode> {
  const runner = new NodeRunner(host, logger)
  return runner.run(start)
}

class NodeRunner {
  readonly #host: NodeHost
  readonly #logger: Logger
  readonly #isSupervised: boolean
  readonly #stopAsked: Promise<void>
  #onStopAsked = () => {}
  /** What has begun to stop it. */
  #cause: 'none' | 'restart' | 'order' = 'none'

  constructor(host: NodeHost, logger: Logger) {
    this.#host = host
    this.#logger = logger
    this.#isSupervised = host.send !== undefined
    this.#stopAsked = new Promise((resolve) => {
      this.#onStopAsked = resolve
    })
    host.on('SIGTERM', () => this.#askToStop('SIGTERM'))
    host.on('SIGINT', () => {
      // The terminal tells the whole group; the supervisor decides for those it watches.
      if (!this.#isSupervised) this.#askToStop('SIGINT')
    })
    host.on('disconnect', () => this.#askToStop('the supervisor is gone'))
    // It ended while this process was still loading, and nobody listened.
    if (host.connected === false) this.#askToStop('the supervisor is gone')
  }

  async run(start: (hook: RestartHook) => Promise<RunningNode>): Promise<ExitCode> {
    let subscription: EventSubscription | null = null
    try {
      const node = await start({ restart: async () => this.#restart() })
      subscription = node.manager.subscribeToEvents()
      void this.#forwardEvents(subscription)
      const { nodeId, address } = node.manager.getClusterView()
      this.#send({ type: 'ready', nodeId, address, admin: node.admin })
      await this.#stopAskedOrFailed(node)
      subscription.close()
      await node.stop()
      return this.#cause === 'restart' ? ExitCodes.Restart : ExitCodes.Ok
    } catch (error) {
      subscription?.close()
      const { code, message } = factsOf(error)
      this.#logger.error({ error }, 'the node cannot go on')
      await this.#sendLast({ type: 'failed', code, message })
      throw error
    }
  }

  /** A node that must not go on says nothing any more on its way out. */
  async #stopAskedOrFailed(node: RunningNode): Promise<void> {
    try {
      await Promise.race([this.#stopAsked, node.failed])
    } catch (error) {
      await node.stop({ drain: false })
      throw error
    }
  }

  #askToStop(reason: string): void {
    if (this.#cause === 'order') {
      this.#logger.warn({ reason }, 'asked to stop again: ending at once')
      this.#host.exit(ExitCodes.Failed)
      return
    }
    const isUnderWay = this.#cause === 'restart'
    this.#cause = 'order'
    if (!isUnderWay) this.#beginStop(reason)
  }

  #restart(): void {
    if (this.#cause !== 'none') return
    this.#cause = 'restart'
    this.#beginStop('a rolling restart')
  }

  #beginStop(reason: string): void {
    this.#logger.info({ reason }, 'stopping')
    const timer = setTimeout(() => {
      this.#logger.error({ reason }, 'stopping takes too long: ending at once')
      this.#host.exit(this.#cause === 'restart' ? ExitCodes.Restart : ExitCodes.Failed)
    }, stopTimeoutMs)
    timer.unref()
    this.#onStopAsked()
  }

  async #forwardEvents(subscription: EventSubscription): Promise<void> {
    if (!this.#isSupervised) return
    for await (const event of subscription) this.#send({ type: 'event', event })
  }

  #send(message: NodeMessage): void {
    void this.#sendLast(message)
  }

  /** Resolves when it is out: a process that ends right after loses what it has only queued. */
  #sendLast(message: NodeMessage): Promise<void> {
    const host = this.#host
    if (host.send === undefined || host.connected === false) return Promise.resolve()
    return new Promise((resolve) => {
      host.send?.(message, (error) => {
        // The channel closes when the supervisor ends, and `disconnect` says so.
        if (error !== null) this.#logger.debug({ error }, 'the supervisor did not hear')
        resolve()
      })
    })
  }
}
