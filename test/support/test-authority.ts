import type { PeerIdentity, WallMs } from '../../src/core/index.js'
import { authorityFiles, createAuthority, issuePeer } from '../../src/network/index.js'
import { readTlsMaterial, type TlsMaterial } from '../../src/runtime/index.js'
import { temporaryDirectory } from './temporary-directory.js'

type Tap = { teardown(handler: () => unknown): void }
type Issue = { readonly now?: number; readonly days?: number }

/** A cluster's authority in a directory that goes away with the test. */
export class TestAuthority {
  readonly directory: string

  private constructor(directory: string) {
    this.directory = directory
  }

  static async make(t: Tap, clusterName: string): Promise<TestAuthority> {
    const authority = new TestAuthority(await temporaryDirectory(t))
    const validity = { now: Date.now() as WallMs, days: 3_000 }
    await createAuthority(authority.directory, clusterName, validity)
    return authority
  }

  async issue(peer: PeerIdentity, { now = Date.now(), days = 30 }: Issue = {}) {
    const validity = { now: now as WallMs, days }
    const files = await issuePeer(this.directory, { peer }, validity)
    return { ...files, caFile: authorityFiles(this.directory).caFile }
  }

  async material(peer: PeerIdentity, issue: Issue = {}): Promise<TlsMaterial> {
    const files = await this.issue(peer, issue)
    return readTlsMaterial(files, (issue.now ?? Date.now()) as WallMs)
  }
}
