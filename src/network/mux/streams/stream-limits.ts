export interface StreamLimits {
  readonly streamsPerConnectionMax: number
  readonly streamWindowBytes: number
  readonly streamConnectionWindowBytes: number
  readonly streamStallTimeoutMs: number
}
