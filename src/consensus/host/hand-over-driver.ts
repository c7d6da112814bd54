/** The leaderships of a node that ends, given away while it still answers. */
import type { MonotonicMs } from '../../core/ids.js'
import type { Logger } from '../../core/ports/logger.js'
import type { GroupDriver } from '../group/group-driver.js'

export interface HandOverComponents {
  readonly logger: Logger
  readonly groups: () => readonly GroupDriver[]
}

export class HandOver {
  readonly #components: HandOverComponents
  #given: GroupDriver[] = []

  constructor(components: HandOverComponents) {
    this.#components = components
  }

  /**
   * Campaigns no more, and gives leadership away where it can, of all groups side by side; what
   * fails is logged, not thrown.
   */
  async giveAway(deadline: MonotonicMs): Promise<void> {
    const { groups } = this.#components
    await this.#each(groups(), 'leadership stays to the end', async (group) => {
      group.setCandidacy(false)
      if (!group.isLeader || group.status().voters.length < 2) return
      await group.transferLeadership(null, deadline)
      this.#given.push(group)
    })
  }

  /**
   * Until somebody else is heard to lead what was given away. The vote of this node may be needed
   * for that, and what a node does that ends is not to be in the way of those who begin.
   */
  async untilLed(deadline: MonotonicMs): Promise<void> {
    await this.#each(this.#given, 'nobody has taken over', (group) => group.untilLed(deadline))
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
