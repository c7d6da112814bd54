import type { AnyDeclaration } from './declaration.js'
import type { FrameInspection } from './inspect.js'

/** A declaration, a message with its declaration as `type`, or a frame that was inspected. */
export type MessageLike =
  | Pick<AnyDeclaration, 'name' | 'kind'>
  | { readonly type: { readonly name: string; readonly kind?: AnyDeclaration['kind'] } }
  | FrameInspection

/** Whether its sender waits for a response. */
export const isRequest = (message: MessageLike): boolean => hasKind(message, 'request')

/** Whether it answers a request; an error that does is a response too. */
export const isResponse = (message: MessageLike): boolean => hasKind(message, 'response')

/** The name of its type, such as `Ping`; of a frame of an unknown type its number, `0x0042`. */
export function messageType(message: MessageLike): string {
  if (isFrame(message)) {
    return message.name ?? `0x${message.type.toString(16).padStart(4, '0')}`
  }
  return 'type' in message ? message.type.name : message.name
}

function hasKind(message: MessageLike, kind: 'request' | 'response'): boolean {
  if (isFrame(message)) return message.flags.includes(kind)
  return ('type' in message ? message.type.kind : message.kind) === kind
}

const isFrame = (message: MessageLike): message is FrameInspection => 'bodyHex' in message
