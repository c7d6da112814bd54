import { assert } from '../core/assert.js'
import type { AnyDeclaration, MessageDeclaration, RequestDeclaration } from './declaration.js'

/** Every message that this node can speak, by number. Assembled once, in the composition root. */
export class Catalogue {
  readonly #byNumber = new Map<number, AnyDeclaration>()

  constructor(declarations: readonly unknown[]) {
    for (const declaration of declarations as readonly AnyDeclaration[]) {
      this.#add(declaration)
      if (isRequest(declaration)) this.#add(declaration.response)
    }
  }

  byNumber(number: number): AnyDeclaration | undefined {
    return this.#byNumber.get(number)
  }

  /** In the order of their numbers. */
  all(): readonly AnyDeclaration[] {
    return [...this.#byNumber.values()].sort((a, b) => a.number - b.number)
  }

  #add(declaration: AnyDeclaration): void {
    const other = this.#byNumber.get(declaration.number)
    assert(
      other === undefined,
      `messages ${other?.name} and ${declaration.name} share number ${declaration.number}`
    )
    this.#byNumber.set(declaration.number, declaration)
  }
}

export const isRequest = <Body>(
  declaration: MessageDeclaration<Body>
): declaration is RequestDeclaration<Body, unknown> => declaration.kind === 'request'
