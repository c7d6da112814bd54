import type { GroupId, LogIndex } from '../core/ids.js'

/** The newest state of each group that this client has seen: later reads see no older one. */
export class LastIndexes {
  readonly #byGroup = new Map<GroupId, LogIndex>()

  of(group: GroupId): LogIndex {
    return this.#byGroup.get(group) ?? (0 as LogIndex)
  }

  /** Answers whether nothing was seen of the group before. */
  note(group: GroupId, index: LogIndex): boolean {
    if (index <= this.of(group)) return false
    const isNew = !this.#byGroup.has(group)
    this.#byGroup.set(group, index)
    return isNew
  }

  groups(): Iterable<GroupId> {
    return this.#byGroup.keys()
  }
}
