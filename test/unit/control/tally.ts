import type { ControlSection } from '../../../src/control/section.js'
import { struct, text, u64 } from '../../../src/wire/codec.js'

interface Tally {
  readonly count: number
  readonly last: string
}

interface Said {
  readonly text: string
}

/** Counts changes, so that one that is executed twice shows. A change that says `2…` needs 2. */
export const tallySection = (format?: number): ControlSection<Tally, Said, Tally> => ({
  name: 'tally',
  ...(format === undefined ? {} : { format }),
  state: struct({ count: u64, last: text(64) }),
  change: struct({ text: text(64) }),
  answer: struct({ count: u64, last: text(64) }),
  initial: () => ({ count: 0, last: '' }),
  formatOf: ({ text }) => (text.startsWith('2') ? 2 : 1),
  apply({ count }, { text }) {
    const state = { count: count + 1, last: text }
    return { state, answer: state }
  }
})
