import { type AddressInfo, createServer } from 'node:net'

/** `127.0.0.1` and a port that was free a moment ago. */
export async function vacantAddress(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `127.0.0.1:${port}`
}
