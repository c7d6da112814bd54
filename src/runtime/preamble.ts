import type { Duplex } from 'node:stream'

export class PreambleError extends Error {
  override readonly name = 'PreambleError'
}

/**
 * Resolves with the first line, without its newline, and leaves the socket paused with every later
 * byte unread. Rejects when the socket ends before, or when the line is longer than
 * `lengthBytesMax`.
 */
export function readPreamble(socket: Duplex, lengthBytesMax: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0)
    const settle = (action: () => void) => {
      socket.off('data', onData)
      socket.off('error', onError)
      socket.off('close', onClose)
      socket.pause()
      action()
    }
    const onError = (error: Error) => settle(() => reject(error))
    const onClose = () => settle(() => reject(new PreambleError('closed before its first line')))
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const end = received.indexOf('\n')
      if (end < 0 && received.length <= lengthBytesMax) return
      settle(() => {
        if (end < 0 || end > lengthBytesMax) {
          reject(new PreambleError(`first line is longer than ${lengthBytesMax} bytes`))
          return
        }
        const rest = received.subarray(end + 1)
        if (rest.length > 0) socket.unshift(rest)
        resolve(received.subarray(0, end).toString('latin1'))
      })
    }
    socket.on('data', onData)
    socket.on('error', onError)
    socket.on('close', onClose)
  })
}
