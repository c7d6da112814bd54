/**
 * What a codec reads and writes, as a value: for samples, documentation and tests that are made
 * from the declarations. It says how bytes lie; what a `mapped` codec refuses beside that, it does
 * not say.
 */
export type CodecSpec =
  | { readonly kind: 'u8' | 'u16' | 'u32' | 'u64' | 'i64' | 'f64' | 'bool' | 'varint' | 'varint53' }
  /** 8 bytes. */
  | { readonly kind: 'storageId' }
  /** `format`: an id, which is a text of few letters. */
  | { readonly kind: 'text'; readonly sizeBytesMax: number; readonly format?: IdFormat }
  | { readonly kind: 'bytes'; readonly sizeBytesMax: number }
  /** A length, and one value of that length. */
  | { readonly kind: 'sized'; readonly sizeBytesMax: number; readonly value: CodecSpec }
  | { readonly kind: 'list'; readonly item: CodecSpec; readonly countMax: number }
  | { readonly kind: 'nullable'; readonly value: CodecSpec }
  | { readonly kind: 'oneOf'; readonly words: readonly string[] }
  | {
      readonly kind: 'struct'
      readonly fields: readonly FieldSpec[]
      /** Tagged ones up to the end; null: none, and none can ever be added. */
      readonly optional: readonly (FieldSpec & { readonly tag: number })[] | null
    }
  | { readonly kind: 'union'; readonly members: readonly MemberSpec[] }
  /** Bytes up to the end of the body, in a language of their own. */
  | { readonly kind: 'opaque' }

export type IdFormat = 'nodeId' | 'clusterId' | 'replicaId' | 'clientId'

export interface FieldSpec {
  readonly name: string
  readonly spec: CodecSpec
}

export interface MemberSpec {
  readonly name: string
  readonly number: number
  readonly spec: CodecSpec
}

/** The shape in the words of `docs/wire.md`. */
export function shapeOf(spec: CodecSpec): string {
  switch (spec.kind) {
    case 'text':
      return spec.format ?? `text(${spec.sizeBytesMax})`
    case 'bytes':
      return `bytes(${spec.sizeBytesMax})`
    case 'sized':
      return `sized(${shapeOf(spec.value)}, ${spec.sizeBytesMax})`
    case 'list':
      return `list(${shapeOf(spec.item)}, ${spec.countMax})`
    case 'nullable':
      return `nullable(${shapeOf(spec.value)})`
    case 'oneOf':
      return `oneOf(${spec.words.join(', ')})`
    case 'struct':
      return structShape(spec)
    case 'union':
      return `union(${spec.members
        .map(({ name, number, spec: member }) => `${name} ${number}: ${shapeOf(member)}`)
        .join(', ')})`
    default:
      return spec.kind
  }
}

function structShape({ fields, optional }: Extract<CodecSpec, { kind: 'struct' }>): string {
  const required = fields.map(({ name, spec }) => `${name}: ${shapeOf(spec)}`)
  const tagged = (optional ?? []).map(({ name, tag, spec }) => `${name}?${tag}: ${shapeOf(spec)}`)
  const end = optional === null ? '' : ', …'
  return `{ ${[...required, ...tagged].join(', ')}${end} }`
}
