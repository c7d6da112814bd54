import { assert } from '../core/assert.js'
import type { AnyDeclaration, MessageDeclaration, RequestDeclaration } from './declaration.js'

/** Every message that this node can speak, by number. Assembled once, in the composition root. */
export class Catalogue {
  readonly #byNumber = new Map<number, AnyDeclaration>()

  constructor(declarations: readonly unknown[]) {
    const conflicts = conflictsOf(declarations)
    assert(conflicts.length === 0, conflicts.join('; '))
    for (const declaration of withResponses(declarations)) {
      this.#byNumber.set(declaration.number, declaration)
    }
  }

  byNumber(number: number): AnyDeclaration | undefined {
    return this.#byNumber.get(number)
  }

  /** In the order of their numbers. */
  all(): readonly AnyDeclaration[] {
    return [...this.#byNumber.values()].sort((a, b) => a.number - b.number)
  }
}

/** Numbers and names that two declarations claim, one sentence each; empty when all is well. */
export function conflictsOf(declarations: readonly unknown[]): string[] {
  const conflicts: string[] = []
  const byNumber = new Map<number, AnyDeclaration>()
  const byName = new Map<string, AnyDeclaration>()
  for (const declaration of withResponses(declarations)) {
    const { number, name } = declaration
    const sameNumber = byNumber.get(number)
    if (sameNumber !== undefined) {
      conflicts.push(`messages ${sameNumber.name} and ${name} share number ${number}`)
    }
    if (byName.has(name)) conflicts.push(`two messages are called ${name}`)
    byNumber.set(number, declaration)
    byName.set(name, declaration)
  }
  return conflicts
}

export const isRequest = <Body>(
  declaration: MessageDeclaration<Body>
): declaration is RequestDeclaration<Body, unknown> => declaration.kind === 'request'

function* withResponses(declarations: readonly unknown[]): Iterable<AnyDeclaration> {
  for (const declaration of declarations as readonly AnyDeclaration[]) {
    yield declaration
    if (isRequest(declaration)) yield declaration.response
  }
}
