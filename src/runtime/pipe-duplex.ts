import { Duplex } from 'node:stream'
import type { BytePipe } from '../core/index.js'

/** A pipe of the house as the platform's own kind of stream, for TLS to run over. */
export function duplexOf(pipe: BytePipe): Duplex {
  let onDrained: (() => void) | null = null
  const settle = () => {
    const waiting = onDrained
    onDrained = null
    waiting?.()
  }
  const duplex = new Duplex({
    // The pipe pushes; how much it may is for the window of whoever owns it to say.
    read() {},
    write(chunk: Uint8Array, _encoding, taken) {
      if (pipe.write(new Uint8Array(chunk))) taken()
      else onDrained = taken
    },
    final(done) {
      pipe.end()
      done()
    },
    destroy(error, done) {
      pipe.destroy()
      settle()
      done(error)
    }
  })
  pipe.attach({
    onData: (chunk) => void duplex.push(chunk),
    onDrain: settle,
    onClose(_end, cause) {
      if (cause === undefined) duplex.push(null)
      else duplex.destroy(cause)
      settle()
    }
  })
  return duplex
}
