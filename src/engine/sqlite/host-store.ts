import { unreachable } from '../../core/assert.js'
import { EngineFailedError } from '../../core/errors.js'
import { factsOf } from '../../core/remote-error.js'
import type { EngineCall, EngineCallBody, EngineReply, HostKind } from './channel.js'
import type { SqliteEngineSettings } from './options.js'
import { ReaderStore } from './reader-store.js'
import { WriterStore } from './writer-store.js'

export interface HostOptions {
  readonly kind: HostKind
  readonly directory: string
  readonly settings: SqliteEngineSettings
}

const now = (): number => performance.now()

/** Executes calls on one connection: the same code in a thread, in a process, and inline. */
export class EngineHost {
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
      case 'readSystem':
        return this.#writer.readSystem(body.prefix)
      case 'flush':
        return this.#writer.flush()
      case 'close':
        this.#writer.close()
        this.#writer = null
        return undefined
      case 'read':
      case 'checksum':
        throw new EngineFailedError('the writer does not read')
      default:
        return unreachable(body)
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
