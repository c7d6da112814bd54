import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'

/**
 * An address of this machine where nobody listens, or can: until the test's end its port is that of
 * a connection's near end, so it is given to no listener of another process.
 */
export async function vacantAddress(t: {
  teardown(handler: () => unknown): void
}): Promise<string> {
  const server = createServer((socket) => socket.resume())
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const connection = connect(port, '127.0.0.1')
  t.teardown(() => connection.destroy())
  await once(connection, 'connect')
  return `127.0.0.1:${connection.localPort}`
}
