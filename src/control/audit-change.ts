import type { AuditedAction } from '../core/cluster-control.js'
import type { NodeId } from '../core/ids.js'
import { type AuditChange, auditActionBytesMax, auditNameBytesMax } from './sections/audit.js'

/** Too long a text is cut. */
export const auditChangeOf = (
  node: NodeId,
  { principal, role, address, action, status }: AuditedAction
): AuditChange => ({
  node,
  principal: cut(principal, auditNameBytesMax),
  role: cut(role, auditNameBytesMax),
  address: cut(address, auditNameBytesMax),
  action: cut(action, auditActionBytesMax),
  status
})

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** To so many bytes of UTF-8, between characters. */
function cut(text: string, bytesMax: number): string {
  const bytes = encoder.encode(text)
  if (bytes.length <= bytesMax) return text
  let end = bytesMax
  while (((bytes[end] as number) & 0xc0) === 0x80) end--
  return decoder.decode(bytes.subarray(0, end))
}
