/**
 * The commands by what they are for. Each is loaded when it is asked for: what one command needs is
 * a fraction of what all need, and most are over in less time than that takes to load.
 */
import type { Command } from 'commander'
import { assert } from '../core/index.js'
import type { Output } from './output.js'

type Load = (output: Output) => Promise<Command>

const groups: Readonly<Record<string, Readonly<Record<string, Load>>>> = {
  'Run:': {
    demo: async (output) => (await import('./demo/demo-command.js')).demoCommand(output),
    node: async () => (await import('./node-command.js')).nodeCommand()
  },
  'Data:': {
    backup: async (output) => (await import('./backup-command.js')).backupCommand(output),
    restore: async (output) => (await import('./restore-command.js')).restoreCommand(output),
    recover: async (output) =>
      (await import('./recover/recover-command.js')).recoverCommand(output),
    export: async (output) => (await import('./export-command.js')).exportCommand(output),
    init: async (output) => (await import('./init-command.js')).initCommand(output)
  },
  'Trust:': {
    certs: async (output) => (await import('./certs-command.js')).certsCommand(output),
    keys: async (output) => (await import('./keys-command.js')).keysCommand(output),
    tokens: async (output) => (await import('./tokens-command.js')).tokensCommand(output)
  },
  'Look:': {
    status: async (output) => (await import('./status-command.js')).statusCommand(output),
    members: async (output) => (await import('./members-command.js')).membersCommand(output),
    health: async (output) => (await import('./health-command.js')).healthCommand(output),
    metrics: async (output) => (await import('./view-commands.js')).metricsCommand(output),
    events: async (output) => (await import('./events-command.js')).eventsCommand(output),
    reachability: async (output) =>
      (await import('./reachability-command.js')).reachabilityCommand(output),
    hotspots: async (output) => (await import('./routing-commands.js')).hotspotsCommand(output),
    placement: async (output) => (await import('./placement-command.js')).placementCommand(output),
    deaths: async (output) => (await import('./deaths-command.js')).deathsCommand(output),
    transfers: async (output) => (await import('./transfers-command.js')).transfersCommand(output),
    tenants: async (output) => (await import('./transfers-command.js')).tenantsCommand(output)
  },
  'Ask:': {
    query: async (output) => (await import('./query-command.js')).queryCommand(output),
    route: async (output) => (await import('./route-commands.js')).routeCommand(output),
    explain: async (output) => (await import('./route-commands.js')).explainCommand(output)
  },
  'Change:': {
    drain: async (output) => (await import('./drain-commands.js')).drainCommand(output),
    undrain: async (output) => (await import('./drain-commands.js')).undrainCommand(output),
    switchover: async (output) => (await import('./drain-commands.js')).switchoverCommand(output),
    sessions: async (output) => (await import('./sessions-command.js')).sessionsCommand(output),
    transactions: async (output) =>
      (await import('./transactions-command.js')).transactionsCommand(output),
    failover: async (output) => (await import('./failover-command.js')).failoverCommand(output),
    'rolling-restart': async (output) =>
      (await import('./rolling-restart-command.js')).rollingRestartCommand(output),
    strategy: async (output) => (await import('./routing-commands.js')).strategyCommand(output),
    metadata: async (output) => (await import('./metadata-command.js')).metadataCommand(output),
    config: async (output) => (await import('./config-command.js')).configCommand(output),
    upgrade: async (output) => (await import('./upgrade-command.js')).upgradeCommand(output)
  },
  'Prove:': {
    simulate: async (output) => (await import('./simulate-command.js')).simulateCommand(output),
    check: async (output) => (await import('./check-command.js')).checkCommand(output),
    inspect: async (output) => (await import('./inspect-command.js')).inspectCommand(output)
  }
}

/** The command of that name; all of them where there is none, to list or to guess from. */
export async function loadCommands(name: string | undefined, output: Output): Promise<Command[]> {
  const all = Object.entries(groups).flatMap(([heading, commands]) =>
    Object.entries(commands).map(([known, load]) => ({ heading, known, load }))
  )
  const asked = all.filter(({ known }) => known === name)
  return Promise.all(
    (asked.length > 0 ? asked : all).map(async ({ heading, known, load }) => {
      const command = await load(output)
      assert(command.name() === known, `${known} loads ${command.name()}`)
      return command.helpGroup(heading)
    })
  )
}
