import type { GroupId, LogIndex } from '../core/ids.js'

/** The newest state of each group that this client has seen: later reads see no older one. */
export class LastIndexes {
  readonly #byGroup = new Map<GroupId, LogIndex>()

  of(group: GroupId): LogIndex {
    return this.#byGroup.get(group) ?? (0 as LogIndex)
  }

  note(group: GroupId, index: LogIndex): void {
    if (index > this.of(group)) this.#byGroup.set(group, index)
  }
}
