import { classify, type StatementShape } from './classifier.js'

/** What texts were classified as: applications send the same few again and again. */
export class KnownShapes {
  readonly #countMax: number
  readonly #shapes = new Map<string, StatementShape>()

  /** @param countMax texts remembered; at the bound all are forgotten */
  constructor(countMax: number) {
    this.#countMax = countMax
  }

  /** @throws SqlError, SqlRefusedError */
  of(sql: string): StatementShape {
    const known = this.#shapes.get(sql)
    if (known !== undefined) return known
    const shape = classify(sql)
    if (this.#shapes.size >= this.#countMax) this.#shapes.clear()
    this.#shapes.set(sql, shape)
    return shape
  }
}
