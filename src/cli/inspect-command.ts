/** `inspect`: what stands in captured bytes, frames of a stream or one gossip datagram. */
import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { inspect } from '../../lib/index.js'
import { type DatagramInspection, inspectDatagram, readGossipKeys } from '../network/index.js'
import { nodeCrypto } from '../runtime/index.js'
import { formatInspections, toPlain } from '../wire/index.js'
import { CliError, usageError } from './exit-codes.js'
import { type Output, printable } from './output.js'

interface Flags {
  readonly keyFile?: string
  readonly cluster: string
  readonly json?: true
}

const help = `
Examples:
  skein inspect 0000001c0100000300000000000000000000000000000000000000000000000000000001
  skein inspect captured.bin --json          the file holds the bytes, or hex digits
  skein inspect datagram.bin --key-file gossip.key --cluster skein

Exit status: 0 when everything could be shown, 1 when bytes are no frame or could not be opened, 2
when the arguments are wrong.`

export function inspectCommand(output: Output): Command {
  return new Command('inspect')
    .description('show what stands in frames or a gossip datagram')
    .argument('<hex|file>', 'hex digits, or a file of bytes or hex digits')
    .option('--key-file <file>', 'the gossip keys, to open a sealed datagram')
    .option('--cluster <name>', 'name of the cluster that the datagram is of', 'skein')
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action((given: string, flags: Flags) => run(given, flags, output))
}

/** @throws CliError bytes are no frame, or a datagram could not be opened */
async function run(given: string, flags: Flags, output: Output): Promise<void> {
  const bytes = await bytesOf(given)
  // A frame begins with the high byte of its length, which is 0; a datagram with its format.
  if (bytes[0] === 0) return showFrames(bytes, flags, output)
  const gossipKeys = flags.keyFile === undefined ? null : await readGossipKeys(flags.keyFile)
  const crypto = nodeCrypto()
  const seen = inspectDatagram(bytes, { crypto, clusterName: flags.cluster, gossipKeys })
  if (seen === null) throw new CliError('neither a frame nor a datagram: see docs/wire.md')
  output.line(flags.json ? JSON.stringify(toPlain(seen)) : printableLines(formatDatagram(seen)))
  if (seen.fault !== null) throw new CliError(faultOf(seen))
}

function showFrames(bytes: Uint8Array, flags: Flags, output: Output): void {
  const seen = inspect(bytes)
  output.line(flags.json ? JSON.stringify(toPlain(seen)) : printableLines(formatInspections(seen)))
  if (seen.fault !== null) throw new CliError(`not all of it is frames: ${seen.fault}`)
}

async function bytesOf(given: string): Promise<Uint8Array> {
  const digits = hexOf(given)
  if (digits !== null) return digits
  const content = await readFile(given).catch((cause: Error) => {
    throw usageError(`${given} is neither hex digits nor a file: ${cause.message}`)
  })
  const bytes = hexOf(content.toString('latin1')) ?? content
  if (bytes.length === 0) throw usageError(`${given} is empty`)
  return bytes
}

/** Digits with blanks between them, as many tools print them. */
function hexOf(text: string): Uint8Array | null {
  const digits = text.replace(/^0x/, '').replace(/\s+/g, '')
  if (digits.length === 0 || digits.length % 2 !== 0 || !/^[0-9a-f]+$/i.test(digits)) return null
  return Buffer.from(digits, 'hex')
}

function formatDatagram(seen: DatagramInspection): string {
  const { format, sizeBytes, sender, bootNumber, counter, packet, fault } = seen
  const key = format === 'sealed' ? `, key ${seen.keyId.toString(16).padStart(8, '0')}` : ''
  const head = `${format} datagram of ${sender}, ${sizeBytes} bytes${key}`
  const boot = `  boot ${bootNumber}, datagram ${counter} of it`
  if (packet === null) return `${head}\n${boot}\n  not opened: ${fault}`
  const cluster = `  cluster ${packet.clusterTag ?? 'not known yet'}`
  const parts = packet.messages.map((part) => `  ${JSON.stringify(toPlain(part))}`)
  const unknown =
    packet.unknownParts === 0 ? [] : [`  ${packet.unknownParts} parts of unknown kinds`]
  return [head, boot, cluster, ...parts, ...unknown].join('\n')
}

function faultOf({ fault, isOurCluster }: DatagramInspection): string {
  if (!isOurCluster) return 'the datagram is of another cluster: name it with --cluster'
  return fault === 'no key given'
    ? 'the datagram is sealed: give the keys with --key-file'
    : `the datagram cannot be opened: ${fault}`
}

const printableLines = (text: string): string => text.split('\n').map(printable).join('\n')
