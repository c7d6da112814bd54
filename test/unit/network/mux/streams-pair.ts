import type { Priority } from '../../../../src/core/ports/messenger.js'
import type { MuxStream } from '../../../../src/network/mux/streams/mux-stream.js'
import { at, type MuxerEnd, MuxerPair, wall } from '../../../support/muxer-pair.js'

/** Streams of one muxer, as a test drives them. */
export class StreamsEnd {
  readonly end: MuxerEnd

  constructor(end: MuxerEnd) {
    this.end = end
  }

  open(name = 'test', priority: Priority = 2): MuxStream {
    return this.end.muxer.streams.open(name, priority, wall(0))
  }

  write(stream: MuxStream, bytes: Uint8Array, now = 0): boolean {
    return this.end.muxer.streams.write(stream, bytes, at(now), wall(now))
  }

  finish(stream: MuxStream): void {
    this.end.muxer.streams.end(stream, wall(0))
  }

  reset(stream: MuxStream, now = 0): void {
    this.end.muxer.streams.reset(stream, 'cancelled', '', at(now), wall(now))
    this.end.collect()
  }

  /** Everything that has come. */
  read(stream: MuxStream, now = 0): Uint8Array {
    const chunks: Uint8Array[] = []
    for (;;) {
      const chunk = this.end.muxer.streams.read(stream, at(now), wall(now))
      if (chunk === null) return Buffer.concat(chunks)
      chunks.push(chunk)
    }
  }

  /** Streams that the other end opened, in order. */
  get accepted(): MuxStream[] {
    return this.end.events.flatMap((event) => (event.kind === 'streamOpened' ? [event.stream] : []))
  }
}

export function streamsPair(...options: ConstructorParameters<typeof MuxerPair>) {
  const pair = new MuxerPair(...options).pump()
  return { pair, near: new StreamsEnd(pair.dialler), far: new StreamsEnd(pair.acceptor) }
}
