import t from 'tap'
import type { DatagramNetwork, DatagramSocket } from '../../../src/core/index.js'

type Tap = { teardown(handler: () => unknown): void }
type Received = { readonly text: string; readonly from: string }

/** What every `DatagramNetwork` owes its callers, where nothing is lost. */
export function datagramNetworkContract(
  name: string,
  make: (t: Tap) => { readonly network: DatagramNetwork; readonly address: () => string }
): void {
  t.test(`${name}: a datagram arrives whole, with its sender's address`, async (t) => {
    const { a, b } = await pair(t)
    a.socket.send(b.socket.address, bytes('one'))
    t.same(await b.next(), { text: 'one', from: a.socket.address })
    b.socket.send(a.socket.address, bytes('two'))
    t.same(await a.next(), { text: 'two', from: b.socket.address })
  })

  t.test(`${name}: the buffer is the sender's again when send returns`, async (t) => {
    const { a, b } = await pair(t)
    const buffer = bytes('before')
    a.socket.send(b.socket.address, buffer)
    buffer.fill(0)
    t.equal((await b.next()).text, 'before')
  })

  t.test(`${name}: the largest datagram passes`, async (t) => {
    const { a, b } = await pair(t)
    a.socket.send(b.socket.address, bytes('x'.repeat(1400)))
    t.equal((await b.next()).text.length, 1400)
  })

  t.test(`${name}: sending into the void and after close does not throw`, async (t) => {
    const { a, b } = await pair(t)
    const gone = b.socket.address
    await b.socket.close()
    a.socket.send(gone, bytes('nobody'))
    await a.socket.close()
    a.socket.send(gone, bytes('closed'))
    t.pass('nothing was thrown')
  })

  t.test(`${name}: an address is bound once`, async (t) => {
    const { network, a } = await pair(t)
    await t.rejects(
      network.bind(a.socket.address, () => {}),
      { code: 'ERR_SKEIN_LISTEN_FAILED' }
    )
  })

  async function pair(t: Tap) {
    const { network, address } = make(t)
    const a = await inbox(t, network, address())
    const b = await inbox(t, network, address())
    return { network, a, b }
  }
}

async function inbox(t: Tap, network: DatagramNetwork, address: string) {
  const received: Received[] = []
  let wake = () => {}
  const socket: DatagramSocket = await network.bind(address, (datagram, from) => {
    received.push({ text: Buffer.from(datagram).toString(), from })
    wake()
  })
  t.teardown(() => socket.close())
  const next = async (): Promise<Received> => {
    while (received.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return received.shift() as Received
  }
  return { socket, next }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
