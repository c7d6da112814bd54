const nameBytesMax = 63
const hasControl = /\p{Cc}/u

/** Of a service or a tenant: some text of at most 63 bytes, without control characters. */
export const isName = (name: string): boolean =>
  name.length > 0 &&
  name.length <= nameBytesMax &&
  !hasControl.test(name) &&
  new TextEncoder().encode(name).length <= nameBytesMax
