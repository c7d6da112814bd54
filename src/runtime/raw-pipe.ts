import { connect } from 'node:net'
import {
  type Address,
  type BytePipe,
  type Clock,
  DialFailedError,
  type MonotonicMs
} from '../core/index.js'
import { parseAddress } from './addresses.js'
import { SocketPipe } from './socket-stream.js'

/** A TCP connection on which nobody has said anything yet. @throws DialFailedError */
export function openRawPipe(
  clock: Clock,
  address: Address,
  deadline: MonotonicMs
): Promise<BytePipe> {
  const { host, port } = parseAddress(address)
  const socket = connect({ host, port, noDelay: true })
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(deadline, () => socket.destroy(new Error('the deadline passed')))
    const onError = (cause: Error) => {
      timer.cancel()
      reject(new DialFailedError(`dial ${address}: ${cause.message}`, { cause }))
    }
    socket.once('error', onError)
    socket.once('connect', () => {
      timer.cancel()
      socket.off('error', onError)
      socket.pause()
      resolve(new SocketPipe(socket))
    })
  })
}
