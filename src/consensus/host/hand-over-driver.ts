/** The leaderships of a node that ends, given away while it still answers. */
import { after } from '../../core/deadlines.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { GroupDriver } from '../group/group-driver.js'

export interface HandOverComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly groups: () => readonly GroupDriver[]
  /** It is there, and does not end itself. */
  mayLead(node: NodeId): boolean
}

export interface HandOverOptions {
  readonly nodeId: NodeId
  /** Whoever has not taken over by then has failed; the others can elect without this node. */
  readonly ledWaitMs: number
}

export class HandOver {
  readonly #components: HandOverComponents
  readonly #options: HandOverOptions
  #given: GroupDriver[] = []

  constructor(components: HandOverComponents, options: HandOverOptions) {
    this.#components = components
    this.#options = options
  }

  /**
   * Campaigns no more, and gives leadership away where anybody could take it, of all groups side
   * by side; what fails is logged, not thrown.
   */
  async giveAway(deadline: MonotonicMs): Promise<void> {
    const { groups } = this.#components
    await this.#each(groups(), 'leadership stays to the end', async (group) => {
      group.setCandidacy(false)
      if (!group.isLeader || !this.#hasSuccessor(group)) return
      await group.transferLeadership(null, deadline)
      this.#given.push(group)
    })
  }

  /**
   * Until somebody else is heard to lead what was given away, where anybody could. The vote of this
   * node may be needed for that, and what a node does that ends is not to be in the way of those
   * who begin.
   */
  async untilLed(deadline: MonotonicMs): Promise<void> {
    const { clock } = this.#components
    const latest = after(clock.now(), this.#options.ledWaitMs)
    const until = latest < deadline ? latest : deadline
    const awaited = this.#given.filter((group) => this.#hasSuccessor(group))
    await this.#each(awaited, 'nobody has taken over', (group) => group.untilLed(until))
  }

  /** False: all others have gone, or are about to. */
  #hasSuccessor(group: GroupDriver): boolean {
    const { nodeId } = this.#options
    const { voters } = group.status()
    return voters.some((node) => node !== nodeId && this.#components.mayLead(node))
  }

  async #each(
    groups: readonly GroupDriver[],
    failure: string,
    act: (group: GroupDriver) => Promise<void>
  ): Promise<void> {
    const { logger } = this.#components
    const acts = groups.map(async (group) => {
      try {
        await act(group)
      } catch (error) {
        logger.warn({ group: group.group, error }, failure)
      }
    })
    await Promise.all(acts)
  }
}
