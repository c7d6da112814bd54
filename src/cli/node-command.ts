import { readFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { type AdminServer, type AdminTls, createAdminServer, parseTokens } from '../../lib/admin.js'
import { ClusterNetworkManager } from '../../lib/cluster-network-manager.js'
import type {
  Config,
  ConfigInput,
  EngineProvider,
  EventSubscription,
  Logger
} from '../core/index.js'
import type { RestartHook } from '../failover/index.js'
import { type LogLevel, logLevels, nodeLogger, readSecretText } from '../runtime/index.js'
import { readConfig } from './config-file.js'
import { CliError, ExitCodes } from './exit-codes.js'
import { failureOf } from './node-failure.js'
import { type RunningNode, runNode } from './node-runner.js'

interface NodeOptions {
  readonly config: string
  readonly logLevel: LogLevel
  readonly supervised?: boolean
}

const help = `
Exit status: 0 when it was told to stop, 1 when it cannot go on, 2 when the configuration is wrong;
with --supervised 75 when a rolling restart has come to it and it is to be started again (systemd:
RestartForceExitStatus=75; containers: a restart policy of always).`

/** A process whose node has failed ends after this, whatever is left open. */
const failureTellMs = 1_000

export function nodeCommand(): Command {
  return new Command('node')
    .description('run a node; SIGTERM and SIGINT hand over, leave and stop it')
    .requiredOption('--config <file>', 'YAML or JSON; SKEIN_SECTION_FIELD variables come on top')
    .addOption(
      new Option('--log-level <level>', 'of the JSON lines on standard error')
        .choices(logLevels)
        .env('SKEIN_LOG_LEVEL')
        .default('info')
    )
    .addOption(
      new Option(
        '--supervised',
        'whatever runs this node starts it again when it ends with status 75'
      ).env('SKEIN_SUPERVISED')
    )
    .addHelpText('after', help)
    .action((options: NodeOptions) => node(options))
}

async function node(options: NodeOptions): Promise<void> {
  const logger = nodeLogger({ level: options.logLevel, bindings: {}, fileDescriptor: 2 })
  const exitCode = await runNode(process, logger, async (hook) => {
    const config = await readConfig(options.config, process.env)
    const restart = options.supervised === true ? hook : null
    return startNode(config, restart, logger.child({ node: config.node.id }))
  }).catch((error: unknown) => {
    // The fault is told and the status set by then; a supervisor's channel alone would hold it.
    setTimeout(() => process.exit(), failureTellMs).unref()
    throw error
  })
  // Nothing that a room may have left open keeps a stopped node alive.
  process.exit(exitCode)
}

async function startNode(
  config: Config,
  restart: RestartHook | null,
  logger: Logger
): Promise<RunningNode> {
  const engine = await loadEngine(config.engine)
  const manager = ClusterNetworkManager.create({
    config: config as ConfigInput,
    engine,
    ...(restart === null ? {} : { restart }),
    overrides: { logger }
  })
  const failed = failureOf(manager)
  await manager.start()
  try {
    const admin = await startAdmin(config, manager, logger)
    return {
      manager,
      admin: admin?.url ?? null,
      failed,
      async stop({ drain } = { drain: true }) {
        await manager.stop({ drain })
        await admin?.stop()
      }
    }
  } catch (error) {
    await manager.stop({ drain: false })
    throw error
  }
}

async function startAdmin(config: Config, manager: ClusterNetworkManager, logger: Logger) {
  const { listenAddress, tokenFile, clientRoles, eventSubscribersMax } = config.admin
  if (listenAddress === undefined) return null
  const tokens =
    tokenFile === undefined ? [] : parseTokens(await readSecretText(tokenFile), tokenFile)
  const tls = config.admin.tls ? await readTls(config.security) : null
  const options = { listenAddress, tokens, tls, clientRoles, logger, eventSubscribersMax }
  const server = createAdminServer(manager, options)
  const { address } = await server.start()
  const url = `${tls === null ? 'http' : 'https'}://${address}`
  logger.info({ url }, 'admin API serves')
  const subscription = tls === null ? null : manager.subscribeToEvents()
  if (subscription !== null) void followCertificates(subscription, server, { config, logger })
  return {
    url,
    stop() {
      subscription?.close()
      return server.stop()
    }
  }
}

/** The node has checked that its files fit together before it says so. */
async function followCertificates(
  events: EventSubscription,
  server: AdminServer,
  { config, logger }: { readonly config: Config; readonly logger: Logger }
): Promise<void> {
  for await (const { type } of events) {
    if (type !== 'CertificateReloaded') continue
    try {
      server.setTls(await readTls(config.security))
    } catch (error) {
      logger.error({ error }, 'the admin API goes on with its old certificate')
    }
  }
}

async function readTls(security: Config['security']): Promise<AdminTls> {
  const { certificateFile = '', keyFile = '', caFile = '' } = security
  return {
    cert: await readFile(certificateFile, 'utf8'),
    key: await readSecretText(keyFile),
    ca: await readFile(caFile, 'utf8')
  }
}

/** The engine's package is an optional one, loaded by who runs a node. */
async function loadEngine(options: Config['engine']): Promise<EngineProvider> {
  try {
    const { sqliteEngine } = await import('../../lib/sqlite.js')
    return sqliteEngine(options)
  } catch (cause) {
    const message = 'the SQLite engine cannot be loaded; run npm install better-sqlite3'
    throw new CliError(message, ExitCodes.Failed, cause)
  }
}
