/** Kinds of fields that several sections have. */
import { z } from 'zod'

export const ms = (min: number, max: number) => z.number().int().min(min).max(max)
export const count = (min: number, max: number) => z.number().int().min(min).max(max)
export const nodeId = z.string().regex(/^[a-z0-9-]{1,63}$/, 'must match [a-z0-9-]{1,63}')
export const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^\s:[\]]+):\d{1,5}$/, 'must be host:port ([v6]:port)')
  .refine((text) => !(Number(text.slice(text.lastIndexOf(':') + 1)) > 65535), 'port is above 65535')
export const label = z.string().max(63)
