import { Duplex } from 'node:stream'
import t from 'tap'
import { SocketPipe, streamBufferBytesMax } from '../../../src/runtime/socket-stream.js'

const chunkBytes = 16 * 1024

const pipeOf = (socket: Duplex) => {
  socket.pause()
  return new SocketPipe(socket)
}
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

t.test('a full socket is one connection’s work for many turns: others come between', async (t) => {
  const chunks = 64
  let pushed = 0
  const socket = new Duplex({
    highWaterMark: chunkBytes,
    read() {
      while (pushed < chunks) {
        pushed++
        if (!this.push(new Uint8Array(chunkBytes).fill(pushed))) return
      }
    },
    write: (_chunk, _encoding, done) => done()
  })
  const received: number[] = []
  pipeOf(socket).attach({
    onData: (chunk) => received.push(chunk[0] ?? 0),
    onDrain: () => {},
    onClose: () => {}
  })
  let turns = 0
  for (let before = 0; received.length < chunks; before = received.length) {
    await turn()
    turns++
    t.ok(received.length - before <= 4, `${received.length - before} chunks in one turn`)
    if (turns > 10 * chunks) break
  }
  t.same(
    received,
    Array.from({ length: chunks }, (_, i) => i + 1),
    'everything, in order'
  )
})

t.test('a socket that takes nothing is handed two writes at most', async (t) => {
  const taken: { sizeBytes: number; done: () => void }[] = []
  const socket = new Duplex({
    read: () => {},
    write: (chunk: Uint8Array, _encoding, done) =>
      void taken.push({ sizeBytes: chunk.length, done })
  })
  const pipe = pipeOf(socket)
  let drains = 0
  let released = 0
  pipe.attach({ onData: () => {}, onDrain: () => drains++, onClose: () => {} })
  const write = (sizeBytes: number) => pipe.write(new Uint8Array(sizeBytes), () => released++)
  t.equal(write(10), true)
  t.equal(write(streamBufferBytesMax), false, 'full')
  t.same([taken.length, pipe.bufferedBytes], [1, 10 + streamBufferBytesMax])
  taken[0]?.done()
  await turn()
  t.same([taken.length, drains, released], [2, 0, 1], 'in pieces of their own')
  taken[1]?.done()
  await turn()
  t.same([drains, released, pipe.bufferedBytes], [1, 2, 0])
})
