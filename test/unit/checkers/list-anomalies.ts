/**
 * The anomalies that databases were published to have, each as short as it can be, on the two or
 * three lists that it is given.
 */
import type { CycleKind, ListAppendAnomaly } from '../../../src/checkers/index.js'
import type { HistoryWriter } from './history-writer.js'

export interface Plant {
  readonly name: string
  readonly kind: ListAppendAnomaly['kind']
  /** Of cycles. */
  readonly needs?: 'nothing' | 'process' | 'realtime'
  grow(history: HistoryWriter, x: string, y: string, z: string): void
}

const cycle = (
  name: string,
  [kind, needs]: readonly [CycleKind, 'nothing' | 'process' | 'realtime'],
  grow: Plant['grow']
): Plant => ({ name, kind, needs, grow })

export const plants: readonly Plant[] = [
  cycle('dirty write', ['G0', 'nothing'], (history, x, y) => {
    const a = history.begin('A', [
      ['append', x, 1],
      ['append', y, 1]
    ])
    const b = history.begin('B', [
      ['append', x, 2],
      ['append', y, 2]
    ])
    history.end(a)
    history.end(b)
    history.run(
      'C',
      [
        ['read', x],
        ['read', y]
      ],
      [
        [1, 2],
        [2, 1]
      ]
    )
  }),
  {
    name: 'aborted read',
    kind: 'G1a',
    grow(history, x) {
      history.fail('A', [['append', x, 1]])
      history.run('B', [['read', x]], [[1]])
    }
  },
  {
    name: 'intermediate read',
    kind: 'G1b',
    grow(history, x) {
      const a = history.begin('A', [
        ['append', x, 1],
        ['append', x, 2]
      ])
      history.run('B', [['read', x]], [[1]])
      history.end(a)
      history.run('B', [['read', x]], [[1, 2]])
    }
  },
  cycle('circular information flow', ['G1c', 'nothing'], (history, x, y) => {
    const a = history.begin('A', [
      ['append', x, 1],
      ['read', y]
    ])
    const b = history.begin('B', [
      ['append', y, 1],
      ['read', x]
    ])
    history.end(a, 'ok', [[1]])
    history.end(b, 'ok', [[1]])
  }),
  cycle('circular information flow of three', ['G1c', 'nothing'], (history, x, y, z) => {
    const a = history.begin('A', [
      ['append', x, 1],
      ['read', z]
    ])
    const b = history.begin('B', [
      ['append', y, 1],
      ['read', x]
    ])
    const c = history.begin('C', [
      ['append', z, 1],
      ['read', y]
    ])
    for (const open of [a, b, c]) history.end(open, 'ok', [[1]])
  }),
  cycle('read skew', ['G-single', 'nothing'], (history, x, y) => {
    const reader = history.begin('A', [
      ['read', x],
      ['read', y]
    ])
    const writer = history.begin('B', [
      ['append', x, 1],
      ['append', y, 1]
    ])
    history.end(writer)
    history.end(reader, 'ok', [[], [1]])
    history.run(
      'C',
      [
        ['read', x],
        ['read', y]
      ],
      [[1], [1]]
    )
  }),
  cycle('lost update', ['G-single', 'nothing'], (history, x) => {
    history.run('A', [['append', x, 0]])
    const a = history.begin('A', [
      ['read', x],
      ['append', x, 1]
    ])
    const b = history.begin('B', [
      ['read', x],
      ['append', x, 2]
    ])
    history.end(a, 'ok', [[0]])
    history.end(b, 'ok', [[0]])
    history.run('C', [['read', x]], [[0, 1, 2]])
  }),
  cycle('write skew', ['G2', 'nothing'], (history, x, y) => {
    const a = history.begin('A', [
      ['read', x],
      ['append', y, 1]
    ])
    const b = history.begin('B', [
      ['read', y],
      ['append', x, 1]
    ])
    history.end(a, 'ok', [[]])
    history.end(b, 'ok', [[]])
    history.run(
      'C',
      [
        ['read', x],
        ['read', y]
      ],
      [[1], [1]]
    )
  }),
  cycle('write skew of three', ['G2', 'nothing'], (history, x, y, z) => {
    const open = [
      [x, y],
      [y, z],
      [z, x]
    ].map(([from = '', to = ''], i) =>
      history.begin(`A${i}`, [
        ['read', from],
        ['append', to, 1]
      ])
    )
    for (const one of open) history.end(one, 'ok', [[]])
    history.run(
      'C',
      [
        ['read', x],
        ['read', y],
        ['read', z]
      ],
      [[1], [1], [1]]
    )
  }),
  cycle('long fork', ['G2', 'nothing'], (history, x, y) => {
    const a = history.begin('A', [['append', x, 1]])
    const b = history.begin('B', [['append', y, 1]])
    const c = history.begin('C', [
      ['read', x],
      ['read', y]
    ])
    const d = history.begin('D', [
      ['read', x],
      ['read', y]
    ])
    for (const open of [a, b]) history.end(open)
    history.end(c, 'ok', [[1], []])
    history.end(d, 'ok', [[], [1]])
  }),
  cycle('stale read', ['G-single', 'realtime'], (history, x) => {
    history.run('A', [['append', x, 1]])
    history.run('B', [['read', x]], [[]])
    history.run('C', [['read', x]], [[1]])
  }),
  cycle('a process does not read its own write', ['G-single', 'process'], (history, x) => {
    history.run('A', [['append', x, 1]])
    history.run('A', [['read', x]], [[]])
    history.run('C', [['read', x]], [[1]])
  }),
  cycle('a write goes back in time', ['G0', 'realtime'], (history, x) => {
    history.run('A', [['append', x, 1]])
    history.run('B', [['append', x, 2]])
    history.run('C', [['read', x]], [[2, 1]])
  }),
  cycle('a read from the future', ['G1c', 'realtime'], (history, x) => {
    history.run('A', [['read', x]], [[1]])
    history.run('B', [['append', x, 1]])
  }),
  {
    name: 'a transaction does not see its own append',
    kind: 'internal',
    grow(history, x) {
      history.run(
        'A',
        [
          ['append', x, 1],
          ['read', x]
        ],
        [[]]
      )
    }
  },
  {
    name: 'a transaction reads twice and differently',
    kind: 'internal',
    grow(history, x) {
      const a = history.begin('A', [
        ['read', x],
        ['read', x]
      ])
      history.run('B', [['append', x, 1]])
      history.end(a, 'ok', [[], [1]])
    }
  },
  {
    name: 'an append done twice',
    kind: 'duplicate',
    grow(history, x) {
      history.run('A', [['append', x, 1]])
      history.run('B', [['read', x]], [[1, 1]])
    }
  },
  {
    name: 'split brain',
    kind: 'incompatible_order',
    grow(history, x) {
      const a = history.begin('A', [['append', x, 1]])
      const b = history.begin('B', [['append', x, 2]])
      history.end(a)
      history.end(b)
      history.run('C', [['read', x]], [[1, 2]])
      history.run('D', [['read', x]], [[2, 1]])
    }
  },
  {
    name: 'lost append',
    kind: 'lost_append',
    grow(history, x) {
      history.run('A', [['append', x, 1]])
      history.run('B', [['append', x, 2]])
      history.run('C', [['read', x]], [[2]])
    }
  },
  {
    name: 'dirty update',
    kind: 'dirty_update',
    grow(history, x) {
      history.fail('A', [['append', x, 1]])
      history.run('B', [['append', x, 2]])
      history.run('C', [['read', x]], [[1, 2]])
    }
  },
  {
    name: 'garbage read',
    kind: 'unexpected',
    grow(history, x) {
      history.run('A', [['read', x]], [[99]])
    }
  }
]
