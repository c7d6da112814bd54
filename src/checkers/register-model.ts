import type { HistoryValue, Operation } from './history.js'
import type { Model } from './linearizability.js'

/**
 * One key: read, write, compare-and-set, append to a text. An absent value is null; a missing
 * text is empty when appended to.
 */
export const registerModel: Model<HistoryValue> = {
  initial: null,
  step(state, operation) {
    switch (operation.op) {
      case 'read':
        return isSame(state, operation.output) ? state : undefined
      case 'write':
        return operation.input
      case 'append':
        return `${state ?? ''}${operation.input ?? ''}`
      case 'cas': {
        const [expected, wanted] = casOf(operation)
        return isSame(state, expected) ? wanted : undefined
      }
    }
  },
  textOf: (state) => (typeof state === 'string' ? `"${state}` : JSON.stringify(state)),
  forHistory(operations) {
    const isGrowing = operations.every(({ op }) => op === 'append' || op === 'read')
    return isGrowing ? growingModel(longestRead(operations)) : registerModel
  },
  withoutUnseen(operations) {
    const seen = operations.flatMap(seenBy)
    return operations.filter(
      (operation) =>
        Number.isFinite(operation.completedAt) ||
        seen.some((value) => isPartOf(effectOf(operation), value))
    )
  }
}

/** Values that the register had, if the operation was executed. */
function seenBy(operation: Operation): HistoryValue[] {
  if (operation.op === 'read') return [operation.output]
  return operation.op === 'cas' ? [casOf(operation)[0]] : []
}

const effectOf = (operation: Operation): HistoryValue =>
  operation.op === 'cas' ? casOf(operation)[1] : operation.input

/**
 * From when a value is written or appended to when the next is written, every value of the
 * register contains it. False: it certainly does not.
 */
function isPartOf(effect: HistoryValue, value: HistoryValue): boolean {
  if (typeof effect === 'string' || typeof effect === 'number') {
    return typeof value === 'object' ? value !== null : String(value).includes(String(effect))
  }
  return true
}

/**
 * A text that only grows: up to the read that saw most of it, every state is a beginning of what
 * that read saw, and afterwards it begins with it.
 */
function growingModel(longest: string): Model<HistoryValue> {
  return {
    initial: registerModel.initial,
    step(state, operation) {
      const next = registerModel.step(state, operation)
      if (typeof next !== 'string') return next
      return longest.startsWith(next) || next.startsWith(longest) ? next : undefined
    },
    textOf: registerModel.textOf
  }
}

function longestRead(operations: readonly Operation[]): string {
  let longest = ''
  for (const { op, output } of operations) {
    const isLonger = op === 'read' && typeof output === 'string' && output.length > longest.length
    if (isLonger) longest = output
  }
  return longest
}

function casOf(operation: Operation): readonly [HistoryValue, HistoryValue] {
  const [expected = null, wanted = null] = Array.isArray(operation.input) ? operation.input : []
  return [expected, wanted]
}

function isSame(a: HistoryValue, b: HistoryValue): boolean {
  return a === b || (Array.isArray(a) && JSON.stringify(a) === JSON.stringify(b))
}
