import type { BenchClient } from './peer.js'

export type Task =
  | {
      readonly kind: 'request'
      readonly sizeBytes: number
      readonly inFlight: number
      readonly ms: number
    }
  | { readonly kind: 'oneWay'; readonly sizeBytes: number; readonly ms: number }
  | { readonly kind: 'bulk'; readonly ms: number }
  /** One urgent request after the other, alone or beside a bulk transfer. */
  | { readonly kind: 'urgent'; readonly besideBulk: boolean; readonly ms: number }

/** Per second: messages, or bytes for `bulk`. */
export interface Sample {
  readonly rate: number
  readonly p50Ms?: number
  readonly p99Ms?: number
  /** How many there were in all. */
  readonly count: number
}

export interface ClientSample extends Sample {
  /** Of the client's process. */
  readonly cpuMs: number
}

export interface CostedSample extends Sample {
  /** CPU time of both processes for each message, or each byte. */
  readonly cpuUs: number
}

const bulkChunkBytes = 64 * 1024
const urgentBytes = 64
/** Latencies kept of one sample; of more requests only some are kept. */
const latenciesMax = 200_000

export function measureTask(client: BenchClient, task: Task): Promise<Sample> {
  switch (task.kind) {
    case 'request':
      return requests(client.request, task)
    case 'oneWay':
      return oneWay(client, task.sizeBytes, task.ms)
    case 'bulk':
      return bulk(client, task.ms)
    case 'urgent':
      return urgent(client, task.besideBulk, task.ms)
  }
}

/** `inFlight` callers, each of which asks again when it is answered. */
function requests(
  request: BenchClient['request'],
  { sizeBytes, inFlight, ms }: { sizeBytes: number; inFlight: number; ms: number }
): Promise<Sample> {
  const payload = Buffer.alloc(sizeBytes, 7)
  const latencies: number[] = []
  return new Promise((resolve) => {
    const startedAt = performance.now()
    const until = startedAt + ms
    let answered = 0
    let running = inFlight
    const ask = () => {
      const askedAt = performance.now()
      request(payload, () => {
        const now = performance.now()
        answered++
        if (latencies.length < latenciesMax) latencies.push(now - askedAt)
        if (now < until) ask()
        else if (--running === 0) {
          const rate = (answered * 1_000) / (now - startedAt)
          resolve({ rate, count: answered, ...percentilesOf(latencies) })
        }
      })
    }
    for (let i = 0; i < inFlight; i++) ask()
  })
}

/** Until the other end has taken the last one: an echo behind them says so. */
async function oneWay(client: BenchClient, sizeBytes: number, ms: number): Promise<Sample> {
  const { send } = client
  if (send === undefined) throw new Error('sends nothing one way')
  const payload = Buffer.alloc(sizeBytes, 7)
  const startedAt = performance.now()
  const until = startedAt + ms
  let sent = 0
  await new Promise<void>((resolve) => {
    const fill = () => {
      for (;;) {
        // The clock costs as much as a message: it is not asked for each.
        if (sent % 64 === 0 && performance.now() >= until) {
          resolve()
          return
        }
        if (!send(payload, fill)) return
        sent++
      }
    }
    fill()
  })
  await new Promise<void>((resolve) => client.request(payload, resolve))
  return { rate: (sent * 1_000) / (performance.now() - startedAt), count: sent }
}

async function bulk(client: BenchClient, ms: number): Promise<Sample> {
  if (client.bulk === undefined) throw new Error('has no bulk transfer')
  const startedAt = performance.now()
  const bytes = await client.bulk(Buffer.alloc(bulkChunkBytes, 7), ms)
  return { rate: (bytes * 1_000) / (performance.now() - startedAt), count: bytes }
}

async function urgent(client: BenchClient, besideBulk: boolean, ms: number): Promise<Sample> {
  const { urgent: ask } = client
  if (ask === undefined) throw new Error('knows no urgency')
  const transfer = besideBulk ? client.bulk?.(Buffer.alloc(bulkChunkBytes, 7), ms + 200) : null
  const sample = await requests(ask, { sizeBytes: urgentBytes, inFlight: 1, ms })
  await transfer
  return sample
}

function percentilesOf(latencies: number[]): { p50Ms: number; p99Ms: number } {
  latencies.sort((a, b) => a - b)
  const at = (share: number) => latencies[Math.floor((latencies.length - 1) * share)] ?? 0
  return { p50Ms: at(0.5), p99Ms: at(0.99) }
}
