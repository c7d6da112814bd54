import { decodeWith, encodeWith } from '../../../../src/control/change-command.js'
import type { AppliedAt, ControlSection } from '../../../../src/control/section.js'
import type { LogIndex, WallMs } from '../../../../src/core/ids.js'
import { messageSizeBytesMax } from '../../../../src/core/limits.js'

/** A section by itself: each change passes its codecs, and so does the state after it. */
export class SectionRun<State, Change, Answer> {
  state: State
  readonly #section: ControlSection<State, Change, Answer>
  #changes = 0

  constructor(section: ControlSection<State, Change, Answer>) {
    this.#section = section
    this.state = section.initial()
  }

  get at(): AppliedAt {
    return { index: this.#changes as LogIndex, now: (1_000 + this.#changes) as WallMs }
  }

  apply(change: Change): Answer {
    this.#changes++
    const { state: codec, change: changeCodec, answer: answerCodec } = this.#section
    const before = JSON.stringify(this.state)
    const applied = this.#section.apply(this.state, through(changeCodec, change), this.at)
    if (JSON.stringify(this.state) !== before) throw new Error('a state was changed in place')
    this.state = through(codec, applied.state)
    return through(answerCodec, applied.answer)
  }
}

const through = <T>(codec: ControlSection<T, T, T>['state'], value: T): T =>
  decodeWith(codec, encodeWith(codec, value, messageSizeBytesMax))
