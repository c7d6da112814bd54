const nameBytesMax = 63

/** Of a service or a tenant: some text of at most 63 bytes, without control characters. */
export const isName = (name: string): boolean =>
  name.length > 0 &&
  name.length <= nameBytesMax &&
  !hasControl(name) &&
  new TextEncoder().encode(name).length <= nameBytesMax

function hasControl(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true
  }
  return false
}
