/** What the bench and the processes that hold its members say to one another, over IPC. */

export interface MemberPlace {
  readonly nodeId: string
  readonly address: string
}

/** Sums over the members of a process, and what the process took. */
export interface Usage {
  readonly members: number
  readonly atMs: number
  readonly datagrams: number
  readonly bytes: number
  readonly cpuMs: number
  readonly rssBytes: number
  /** Before there were members in it. */
  readonly emptyRssBytes: number
}

export type Command =
  | { readonly kind: 'start'; readonly nodeIds: readonly string[]; readonly all: number }
  | { readonly kind: 'join'; readonly seed: string }
  | { readonly kind: 'set'; readonly nodeId: string; readonly key: string; readonly value: string }
  | { readonly kind: 'kill'; readonly nodeId: string }
  | { readonly kind: 'usage' }
  | { readonly kind: 'stop' }

/** Times are wall-clock milliseconds, the same clock in all processes of a machine. */
export type Told =
  | { readonly kind: 'started'; readonly members: readonly MemberPlace[] }
  /** This member knows all. */
  | { readonly kind: 'complete'; readonly viewer: string; readonly atMs: number }
  | {
      readonly kind: 'metadata'
      readonly viewer: string
      readonly key: string
      readonly atMs: number
    }
  | {
      readonly kind: 'suspected' | 'dead'
      readonly viewer: string
      readonly nodeId: string
      readonly atMs: number
    }
  | { readonly kind: 'usage'; readonly usage: Usage }
