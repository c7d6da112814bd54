import { SkeinClient } from '../../lib/client.js'
import type { AdminClient } from '../../src/cli/admin-client.js'
import type { QueryAnswer } from '../../src/cli/query-answer.js'
import {
  Consistencies,
  RemoteError,
  SkeinError,
  type SqlValue,
  type Statement
} from '../../src/core/index.js'
import { type WriteEffect, WriteEffects, writeEffectOf } from '../../src/routing/index.js'
import type { TortureCluster } from './torture-cluster.js'

export interface Answer {
  readonly rows: readonly (readonly unknown[])[]
  readonly rowsAffected: number
}

export type CallOutcome =
  | { readonly kind: 'ok'; readonly answers: readonly Answer[] }
  /** `fail`: surely not executed, now or later; `executed`: without an answer; `info`: unknown. */
  | { readonly kind: 'fail' | 'executed' | 'info'; readonly code: string }

/** What a process of a workload asks. */
export interface TortureClient {
  /** One atomic command, or one snapshot. */
  call(statements: readonly Statement[], timeoutMs: number): Promise<CallOutcome>
}

const connectTimeoutMs = 60_000
/** The caller waits longer than the node that it asks. */
const patienceMs = 1_000
const consistency = Consistencies.Linearizable

/** Two for each node: a program's own client over mutual TLS, and the node's admin API. */
export async function connectClients(
  cluster: TortureCluster
): Promise<{ readonly clients: readonly TortureClient[]; close(): Promise<void> }> {
  const programs: SkeinClient[] = []
  const addressOf = (id: string) => cluster.node(id).options.address
  for (const id of cluster.ids) {
    const addresses = [id, ...cluster.others(id)].map(addressOf)
    programs.push(await SkeinClient.connect({ ...cluster.access, addresses, connectTimeoutMs }))
  }
  return {
    clients: cluster.ids.flatMap((id, i) => [
      clientOf(programs[i] as SkeinClient),
      adminOf(cluster.admin(id))
    ]),
    async close() {
      await Promise.all(programs.map((program) => program.close()))
    }
  }
}

const clientOf = (program: SkeinClient): TortureClient => ({
  async call(statements, timeoutMs) {
    try {
      return { kind: 'ok', answers: await program.execute(statements, { timeoutMs, consistency }) }
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      return { kind: kindOf[writeEffectOf(error)], code: error.code }
    }
  }
})

/** Through the HTTP of one node. */
export const adminOf = (admin: AdminClient): TortureClient => ({
  async call(statements, timeoutMs) {
    const body = { statements: statements.map(toJson), timeoutMs, consistency }
    const outcome = await admin.post('/v1/query', body, timeoutMs + patienceMs)
    switch (outcome.kind) {
      case 'answer':
        return { kind: 'ok', answers: outcome.body as readonly QueryAnswer[] }
      case 'refused': {
        const effect = writeEffectOf(new RemoteError(outcome.error))
        return { kind: kindOf[effect], code: outcome.error.code }
      }
      case 'notSent':
        return { kind: 'fail', code: outcome.reason }
      case 'unknown':
        return { kind: 'info', code: outcome.reason }
    }
  }
})

const kindOf: Readonly<Record<WriteEffect, 'fail' | 'executed' | 'info'>> = {
  [WriteEffects.None]: 'fail',
  [WriteEffects.Done]: 'executed',
  [WriteEffects.Unknown]: 'info'
}

const toJson = ({ sql, params }: Statement): { sql: string; params?: readonly SqlValue[] } =>
  Array.isArray(params) ? { sql, params } : { sql }
