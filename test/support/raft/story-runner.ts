/**
 * Plays a story on a table of Raft cores and writes down what they do. A story is a text: lines
 * that begin with `>` are commands, with `#` remarks; what stands between is the transcript.
 * Played again, the same cores give the same text.
 */
import {
  type Configuration,
  configurationIn,
  decodeEntryPayload,
  type MemberRole,
  type RaftEvent,
  type RaftMessage,
  type RaftPersist
} from '../../../src/consensus/index.js'
import { type LogEntry, must, type ReplicaId } from '../../../src/core/index.js'
import { batch, type Drained, RaftTable, replica, type Seat } from './raft-table.js'

type Command = (story: Story, words: readonly string[]) => void

/** The story with the transcript of this run in place of the one that it had. */
export function playStory(text: string): string {
  const told: string[] = []
  const story = new Story((line) => told.push(`  ${line}`))
  for (const line of text.split('\n')) {
    if (/^ +\S/.test(line)) continue
    told.push(line)
    if (line.startsWith('> ')) story.play(line.slice(2))
  }
  return told.join('\n')
}

class Story {
  readonly #tell: (line: string) => void
  readonly #pocket = new Map<string, RaftMessage>()
  #cuts: readonly string[] = []
  #table: RaftTable | null = null
  /** `quietly`: what the cores emit alone; `silently`: nothing. */
  #isQuiet = false
  #isSilent = false
  #toldAt = 0

  constructor(tell: (line: string) => void) {
    this.#tell = tell
  }

  get table(): RaftTable {
    return must(this.#table, 'a table')
  }

  play(line: string): void {
    const words = line.trim().split(/\s+/)
    this.#isSilent = words[0] === 'silently'
    this.#isQuiet = words[0] === 'quietly' || this.#isSilent
    if (this.#isQuiet) words.shift()
    const [verb = '', ...rest] = words
    must(commands[verb], `command ${verb}`)(this, rest)
  }

  seatAll(table: RaftTable): void {
    this.#table = table
    this.#cuts = []
    this.#pocket.clear()
    this.#toldAt = 0
    table.observer = {
      onDrained: (seat, drained, isHeld) => this.#drained(seat, drained, isHeld),
      onDurable: (seat, sequence, leaving) => {
        this.say(`${nameOf(seat.id)} has #${sequence} on disk`)
        this.#sends(leaving, 'sends')
      },
      onLost: (message) => {
        if (!this.#isQuiet) this.say(`lost: ${nameOf(message.from)} ${messageText(message)}`)
      }
    }
  }

  cut(links: readonly string[]): void {
    this.#cuts = links
    this.table.passes = (message) => !this.#cuts.some((link) => isOn(link, message))
  }

  /** The first on its way that fits, taken off it. */
  take(link: string, kind: string | undefined): RaftMessage {
    const { queue } = this.table
    const at = queue.findIndex(
      (message) => isOn(link, message) && (kind === undefined || message.kind === kind)
    )
    return must(queue.splice(at < 0 ? queue.length : at, 1)[0], `${kind} on ${link}`)
  }

  keep(name: string, message: RaftMessage): void {
    this.#pocket.set(name, message)
  }

  kept(name: string): RaftMessage {
    return must(this.#pocket.get(name), name)
  }

  say(line: string): void {
    if (this.#isSilent) return
    const { now } = this.table
    if (now !== this.#toldAt) this.#tell(`at ${now} ms`)
    this.#toldAt = now
    this.#tell(line)
  }

  #drained(seat: Seat, drained: Drained, isHeld: boolean): void {
    const { sendNow, persist, sendAfterPersist, emit } = drained
    const name = nameOf(seat.id)
    this.#sends(sendNow, 'sends')
    if (persist !== null && !this.#isQuiet) {
      this.say(`${name} ${isHeld ? 'wants to persist' : 'persists'} ${persistText(persist)}`)
    }
    this.#sends(sendAfterPersist, isHeld ? 'withholds' : 'sends')
    for (const event of emit) this.say(`${name} ${eventText(event)}`)
  }

  #sends(messages: readonly RaftMessage[], verb: string): void {
    if (this.#isQuiet) return
    for (const message of messages) {
      this.say(`${nameOf(message.from)} ${verb} ${messageText(message)}`)
    }
  }
}

const commands: Readonly<Record<string, Command>> = {
  /** table a b c | learners z | logs a=1,1,2 | terms a=3 | options appendSizeBytesMax=1 */
  table: (story, words) => story.seatAll(new RaftTable(tableOf(words))),
  /** Its timer fires, the others let it campaign, and everything arrives. */
  elect: (story, [name]) => story.table.elect(name ?? ''),
  /** Its timer fires; nothing arrives. */
  wake: ({ table }, [name = '']) => {
    table.now = Math.max(table.now, table.raft(name).nextDeadline())
    table.act(name, (raft, now) => raft.handleTimeout(now))
  },
  advance: ({ table }, [ms]) => table.advance(Number(ms)),
  settle: ({ table }) => table.settle(),
  /** deliver a>b [kind] */
  deliver: (story, [link = '', kind]) => story.table.deliver(story.take(link, kind)),
  lose: (story, [link = '', kind]) => {
    story.take(link, kind)
  },
  /** keep NAME a>b [kind]: late, until `bring NAME`, which may come twice. */
  keep: (story, [name = '', link = '', kind]) => story.keep(name, story.take(link, kind)),
  /** A copy of what is on its way comes later as well. */
  copy: (story, [name = '', link = '', kind]) => {
    const message = story.take(link, kind)
    story.keep(name, message)
    story.table.queue.push(message)
  },
  bring: (story, [name = '']) => {
    const message = story.kept(name)
    story.say(`late: ${nameOf(message.from)} ${messageText(message)}`)
    story.table.deliver(message)
  },
  /** cut a b>c *>d e>f:vote: replaces the cuts before. */
  cut: (story, links) => story.cut(links),
  heal: (story) => story.cut([]),
  /** The engine of a does not get on, until `resume a`. */
  stall: ({ table }, [name = '']) => table.holdApply(name),
  resume: ({ table }, [name = '']) => table.releaseApply(name),
  hold: ({ table }, [name = '']) => table.holdDisk(name),
  /** release a [N]: all that it holds, or the N oldest requests. */
  release: ({ table }, [name = '', count]) => table.releaseDisk(name, Number(count ?? 'Infinity')),
  /** Dies and starts on what is durable. */
  restart: (story, [name = '']) => {
    story.table.restart(name)
    story.say(stateText(name, story.table))
  },
  propose: (story, [name = '', word = '']) => {
    const bytes = [...word].map((letter) => letter.charCodeAt(0))
    const outcome = story.table.act(name, (raft, now) => raft.propose(batch(...bytes), now))
    if (outcome.kind === 'proposed') return
    story.say(`${name} refuses: ${outcome.reason}, leader ${nameOf(outcome.leaderHint)}`)
  },
  read: ({ table }, [name = '', id]) =>
    table.act(name, (raft, now) => raft.requestReadIndex(Number(id), now)),
  transfer: ({ table }, [name = '', target]) => {
    const to = target === undefined ? null : replica(target)
    table.act(name, (raft, now) => raft.transferLeadership(to, now))
  },
  /** Sits down without a log. */
  join: ({ table }, names) => {
    for (const name of names) table.join(name)
  },
  /** change a d=voter b=none: a leads, the others get these roles. */
  change: (story, [name = '', ...roles]) => {
    const pairs = roles.map((pair) => pair.split('=') as [string, MemberRole])
    const outcome = story.table.change(name, Object.fromEntries(pairs))
    if (outcome.kind === 'unchanged') story.say(`${name} has nothing to change`)
    if (outcome.kind === 'refused') story.say(`${name} refuses the change: ${outcome.reason}`)
  },
  /** compact a N: of what a has applied N entries stay; `compactAll` heeds nobody's snapshot. */
  compact: (story, [name = '', keep = '0']) => {
    const count = story.table.compact(name, Number(keep))
    story.say(`${name} forgets ${count} entries`)
  },
  compactAll: (story, [name = '']) => {
    const count = story.table.compact(name, 0, false)
    story.say(`${name} forgets ${count} entries`)
  },
  /** The engine of a has taken a snapshot. */
  snapshot: ({ table }, [name = '']) => table.snapshot(name),
  noSnapshot: ({ table }, [name = '']) =>
    table.act(name, (raft, now) => raft.handleSnapshot(null, now)),
  /** The engine of a holds what a was offered last, or could not take it. */
  restore: ({ table }, [name = '']) => table.restore(name),
  refuse: ({ table }, [name = '']) => table.refuse(name),
  /** disconnect a b: a hears that its connection to b broke. */
  disconnect: ({ table }, [name = '', peer = '']) =>
    table.act(name, (raft, now) => raft.handlePeerLost(replica(peer), now)),
  states: (story, names) => {
    const { table } = story
    const all = table.seats.map(({ id }) => nameOf(id))
    for (const name of names.length > 0 ? names : all) story.say(stateText(name, table))
  }
}

function tableOf(words: readonly string[]) {
  const sections = words.join(' ').split('|')
  const [voters = '', ...rest] = sections.map((section) => section.trim())
  const pairs = (label: string): [string, string][] =>
    rest
      .filter((section) => section.startsWith(`${label} `))
      .flatMap((section) => section.split(' ').slice(1))
      .map((pair) => pair.split('=') as [string, string])
  const numbers = (label: string) =>
    Object.fromEntries(pairs(label).map(([name, value]) => [name, Number(value)]))
  return {
    voters: voters.split(' '),
    learners: pairs('learners').map(([name]) => name),
    logs: Object.fromEntries(pairs('logs').map(([name, terms]) => [name, termsOf(terms)])),
    terms: numbers('terms'),
    options: numbers('options')
  }
}

const termsOf = (text: string): number[] => (text === '' ? [] : text.split(',').map(Number))

/** `a`: both ways; `a>b`, `*>b`, `a>*`: one way; `:kind` behind it: that kind alone. */
function isOn(link: string, message: RaftMessage): boolean {
  const [path = '', kind = message.kind] = link.split(':')
  const [from, to] = [nameOf(message.from), nameOf(message.to)]
  if (kind !== message.kind) return false
  if (!path.includes('>')) return path === from || path === to
  const [a, b] = path.split('>')
  return (a === '*' || a === from) && (b === '*' || b === to)
}

const nameOf = (id: ReplicaId | null): string => (id === null ? 'nobody' : (id.split('/')[0] ?? ''))

function stateText(name: string, table: RaftTable): string {
  const status = table.raft(name).status()
  const { role, term, vote, leader, commitIndex, durableIndex, baseIndex, lastIndex } = status
  const terms = Array.from({ length: lastIndex - baseIndex }, (_, i) =>
    table.raft(name).termAt((baseIndex + i + 1) as LogEntry['index'])
  )
  const base = baseIndex === 0 ? '' : `behind ${baseIndex}: `
  const log = base + (terms.length > 20 ? `${terms.length} entries` : terms.join(' '))
  return (
    `${name} is ${role} of term ${term}, voted ${nameOf(vote)}, leader ${nameOf(leader)}, ` +
    `commit ${commitIndex}, durable ${durableIndex}, terms ${log}`.trimEnd()
  )
}

function messageText(message: RaftMessage): string {
  const head = `${message.kind} to ${nameOf(message.to)} in term ${message.term}`
  switch (message.kind) {
    case 'preVote':
    case 'vote': {
      const transfer = message.transfer ? ', by transfer' : ''
      return `${head}, last ${message.lastIndex}/${message.lastTerm}${transfer}`
    }
    case 'preVoteResponse':
    case 'voteResponse':
      return `${head}, ${message.granted ? 'granted' : 'refused'}`
    case 'appendEntries': {
      const entries = entriesText(message.entries)
      const behind = `behind ${message.prevIndex}/${message.prevTerm}`
      return `${head}, ${behind}, commit ${message.commitIndex}: ${entries}`
    }
    case 'appendEntriesResponse':
      return message.rejected
        ? `${head}, rejected ${message.index}, hint ${message.hintIndex}/${message.hintTerm}`
        : `${head}, accepted ${message.index}`
    case 'heartbeat':
      return `${head}, commit ${message.commitIndex}, read ${message.readContext}`
    case 'heartbeatResponse':
      return `${head}, read ${message.readContext}`
    case 'timeoutNow':
      return head
    case 'installSnapshot': {
      const has = configurationText(message.configuration)
      return `${head}, up to ${message.index}/${message.indexTerm}, ${has}`
    }
    case 'snapshotRefused':
      return `${head}, up to ${message.index}`
  }
}

function persistText({ sequence, hardState, base, entries }: RaftPersist): string {
  const state = hardState === null ? '' : ` term ${hardState.term} vote ${nameOf(hardState.vote)}`
  const rest = base?.replacesLog ? ' alone' : ''
  const from = base === null ? '' : ` base ${base.base.index}/${base.base.term}${rest}`
  return `#${sequence}${state}${from}${entries.length === 0 ? '' : ` ${entriesText(entries)}`}`
}

function eventText(event: RaftEvent): string {
  switch (event.type) {
    case 'RoleChanged':
      return `becomes ${event.role} of term ${event.term}: ${event.reason}`
    case 'LeaderChanged':
      return `knows ${nameOf(event.leader)} as leader of term ${event.term}`
    case 'Committed':
      return `commits ${entriesText(event.entries)}`
    case 'ConfigurationChanged':
      return `has ${configurationText(event.configuration)}`
    case 'ConfigurationCommitted':
      return `keeps ${configurationText(event.configuration)}`
    case 'SnapshotWanted':
      return 'wants a snapshot'
    case 'SnapshotOffered':
      return `is offered everything up to ${event.base.index}/${event.base.term}`
    case 'RolledBack':
      return `has lost what it told ${nameOf(event.lost.leader)} in term ${event.lost.term}`
    case 'ReadReady':
      return `may answer read ${event.requestId} at ${event.index}`
    case 'ReadRefused':
      return `refuses read ${event.requestId}: ${event.reason}, leader ${nameOf(event.leaderHint)}`
    case 'TransferEnded':
      return (
        `ends the transfer to ${nameOf(event.target)}: ${event.outcome}, ` +
        event.reason.replace(/\/0+$/, '')
      )
  }
}

function configurationText(configuration: Configuration): string {
  const { voters, votersOutgoing, learners, learnersNext } = configuration
  const lists = [
    ['voters', voters],
    ['outgoing', votersOutgoing],
    ['learners', learners],
    ['learners to be', learnersNext]
  ] as const
  return lists
    .filter(([, members]) => members.length > 0)
    .map(([title, members]) => `${title} ${members.map(nameOf).join(' ')}`)
    .join(', ')
}

function entriesText(entries: readonly LogEntry[]): string {
  if (entries.length === 0) return 'nothing'
  if (entries.length > 8) return `${entryText(entries[0])} … ${entryText(entries.at(-1))}`
  return entries.map(entryText).join(' ')
}

function entryText(entry: LogEntry | undefined): string {
  if (entry === undefined) return ''
  const configuration = configurationIn(entry.payload)
  if (configuration !== null && entry.index > 1) {
    return `${entry.index}/${entry.term}=(${configurationText(configuration)})`
  }
  const payload = decodeEntryPayload(entry.payload)
  const isWord = payload.kind === 'batch' && payload.bytes.every((byte) => byte >= 97)
  const content = isWord ? `=${String.fromCharCode(...payload.bytes)}` : ''
  return `${entry.index}/${entry.term}${payload.kind === 'batch' ? content : `=${payload.kind}`}`
}
