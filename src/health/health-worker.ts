/** The edge to hdr-histogram-js: WebAssembly in a thread, plain JavaScript in place. */
import { build, type Histogram as HdrHistogram, initWebAssembly } from 'hdr-histogram-js'
import type { WorkerModule } from '../core/ports/workers.js'
import { HealthTasks } from './health-tasks.js'
import { type Histogram, roundTripUsMax } from './windowed-histogram.js'

/** Called by the thread. */
export async function createTasks(): Promise<HealthTasks> {
  await initWebAssembly()
  return new HealthTasks(() => new WrappedHistogram(true))
}

export const healthWorker: WorkerModule<HealthTasks> = {
  name: 'health',
  url: new URL('./health-worker.js', import.meta.url).href,
  createTasks: () => new HealthTasks(plainHistogram)
}

export const plainHistogram = (): Histogram => new WrappedHistogram(false)

class WrappedHistogram implements Histogram {
  readonly #inner: HdrHistogram

  constructor(useWebAssembly: boolean) {
    this.#inner = build({
      bitBucketSize: 32,
      autoResize: false,
      lowestDiscernibleValue: 1,
      highestTrackableValue: roundTripUsMax,
      numberOfSignificantValueDigits: 2,
      useWebAssembly
    })
  }

  record(valueUs: number): void {
    this.#inner.recordValue(valueUs)
  }

  add(other: Histogram): void {
    this.#inner.add((other as WrappedHistogram).#inner)
  }

  get count(): number {
    return this.#inner.totalCount
  }

  get meanUs(): number {
    return this.#inner.mean
  }

  get maxUs(): number {
    return this.#inner.maxValue
  }

  at(percentile: number): number {
    return this.#inner.getValueAtPercentile(percentile)
  }

  reset(): void {
    this.#inner.reset()
  }

  destroy(): void {
    this.#inner.destroy()
  }
}
