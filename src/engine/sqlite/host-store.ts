import { EngineFailedError } from '../../core/errors.js'
import { factsOf } from '../../core/remote-error.js'
import type { EngineCall, EngineCallBody, EngineReply, HostKind } from './channel.js'
import { CopierStore, sweep } from './copier-store.js'
import type { SqliteEngineSettings } from './options.js'
import { ReaderStore } from './reader-store.js'
import { WriterStore } from './writer-store.js'

export interface HostOptions {
  readonly kind: HostKind
  readonly directory: string
  readonly settings: SqliteEngineSettings
}

const now = (): number => performance.now()

/** Replies to the calls, at once or when all are done. */
export type Executor = (
  calls: readonly EngineCall[]
) => readonly EngineReply[] | Promise<readonly EngineReply[]>

/** The same code in a thread, in a process, and inline. */
export function executorOf(options: HostOptions): Executor {
  if (options.kind === 'copier') {
    const host = new CopierHost(options.directory)
    return (calls) => Promise.all(calls.map((call) => host.execute(call)))
  }
  const host = new EngineHost(options)
  return (calls) => calls.map((call) => host.execute(call))
}

/** Executes calls on one connection. */
class EngineHost {
  readonly #options: HostOptions
  #writer: WriterStore | null = null
  #reader: ReaderStore | null = null

  constructor(options: HostOptions) {
    this.#options = options
  }

  execute({ id, body }: EngineCall): EngineReply {
    try {
      const value = this.#options.kind === 'writer' ? this.#write(body) : this.#read(body)
      return { id, value }
    } catch (thrown) {
      return { id, error: factsOf(thrown) }
    }
  }

  #write(body: EngineCallBody): unknown {
    if (body.op === 'sweep') return sweep(this.#options.directory, body.keepsRestore)
    if (body.op === 'open') return this.#openWriter()
    if (body.op === 'close' && this.#writer === null) return undefined
    if (this.#writer === null) throw new EngineFailedError('the writer is not open')
    switch (body.op) {
      case 'plan':
        return this.#writer.plan(body.statements, now() + body.budgetMs)
      case 'prepare':
        return this.#writer.prepare(body.statements, now() + body.budgetMs)
      case 'apply':
        return this.#writer.apply(body.commands, body.writes, body.index)
      case 'commit':
        return this.#writer.commit(body.count, body.writes, body.index)
      case 'discard':
        return this.#writer.discard()
      case 'rehearse':
        return this.#writer.rehearse()
      case 'readSystem':
        return this.#writer.readSystem(body.prefix)
      case 'flush':
        return this.#writer.flush()
      case 'close':
        this.#writer.close()
        this.#writer = null
        return undefined
      case 'swap':
        this.#writer.giveWay()
        this.#writer = null
        return this.#openWriter()
      default:
        throw new EngineFailedError(`a writer does not ${body.op}`)
    }
  }

  #openWriter(): unknown {
    const { directory, settings } = this.#options
    try {
      this.#writer = new WriterStore(directory, settings, now)
      return this.#writer.open()
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new EngineFailedError(`the database in ${directory} does not open: ${why}`, { cause })
    }
  }

  #read(body: EngineCallBody): unknown {
    if (body.op === 'close') {
      this.#reader?.close()
      this.#reader = null
      return undefined
    }
    this.#reader ??= new ReaderStore(this.#options.directory, this.#options.settings, now)
    if (body.op === 'open') return undefined
    if (body.op === 'read') return this.#reader.read(body.statements, now() + body.budgetMs)
    if (body.op === 'checksum') return this.#reader.checksum()
    throw new EngineFailedError(`a reader does not ${body.op}`)
  }
}

/** Executes calls in order, though some of them wait. */
class CopierHost {
  readonly #copier: CopierStore
  #last: Promise<unknown> = Promise.resolve()

  constructor(directory: string) {
    this.#copier = new CopierStore(directory)
  }

  execute({ id, body }: EngineCall): Promise<EngineReply> {
    const reply = this.#last.then(async () => {
      try {
        return { id, value: await this.#copy(body) }
      } catch (thrown) {
        return { id, error: factsOf(thrown) }
      }
    })
    this.#last = reply
    return reply
  }

  #copy(body: EngineCallBody): unknown {
    switch (body.op) {
      case 'beginSnapshot':
        return this.#copier.beginTake(body.slot)
      case 'pinSnapshot':
        return this.#copier.pin()
      case 'takeSnapshot':
        return this.#copier.take()
      case 'readSnapshot':
        return this.#copier.read(body.offset, body.lengthBytes)
      case 'dropSnapshot':
        return this.#copier.dropTaken()
      case 'beginRestore':
        return body.resumes
          ? this.#copier.resume(body.description)
          : this.#copier.begin(body.description)
      case 'writeRestore':
        return this.#copier.write(body.offset, body.bytes)
      case 'readRestore':
        return this.#copier.readIncoming(body.offset, body.lengthMax)
      case 'syncRestore':
        return this.#copier.sync()
      case 'suspendRestore':
        return this.#copier.closeIncoming()
      case 'checkRestore':
        this.#copier.check(body.description, body.writes)
        return this.#copier.closeIncoming()
      case 'dropRestore':
        return this.#copier.dropIncoming()
      default:
        throw new EngineFailedError(`a copier does not ${body.op}`)
    }
  }
}
