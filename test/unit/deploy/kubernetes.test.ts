/** The manifests say what the code says: ports, paths, commands, fields, names, times. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { probeRoutes } from '../../../src/admin/routes/probe-routes.js'
import { loadCommands } from '../../../src/cli/commands.js'
import { stopTimeoutMs } from '../../../src/cli/node-runner.js'
import { drainPhases, type NodeId, resolveConfig } from '../../../src/core/index.js'
import { restartDefaults } from '../../../src/failover/rolling-restart/restart-options.js'
import { FakeManager } from '../admin/fake-manager.js'

interface Port {
  readonly name: string
  readonly port?: number
  readonly containerPort?: number
  readonly targetPort?: string
  readonly protocol: string
}
interface Container {
  readonly name: string
  readonly command: readonly string[]
  readonly env: readonly { readonly name: string; readonly value?: string }[]
  readonly ports: readonly Port[]
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: string[] } } }
  readonly startupProbe: Probe
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string; readonly scheme: string }
}
interface Labels {
  readonly [name: string]: string
}
interface PodSpec {
  readonly terminationGracePeriodSeconds: number
  readonly containers: readonly Container[]
  readonly initContainers: readonly Container[]
  readonly volumes: readonly { readonly name: string }[]
}
interface Spec {
  readonly ports: readonly Port[]
  readonly selector: Labels & { readonly matchLabels: Labels }
  readonly clusterIP?: string
  readonly publishNotReadyAddresses?: boolean
  readonly maxUnavailable: number
  readonly serviceName: string
  readonly replicas: number
  readonly podManagementPolicy: string
  readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec }
  readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[]
}
interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly data: Readonly<Record<string, string>>
  readonly spec: Spec
}

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const text = readFileSync(`${root}deploy/kubernetes/skein.yaml`, 'utf8')
const manifests = parseAllDocuments(text).map((one) => {
  if (one.errors.length > 0) throw one.errors[0]
  return one.toJS() as Manifest
})
const find = (kind: string, name = 'skein'): Manifest => {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name)
  if (found === undefined) throw new Error(`no ${kind} ${name}`)
  return found
}
const set = find('StatefulSet').spec
const pod = set.template.spec
const [node] = pod.containers as readonly [Container]
const [copies] = pod.initContainers as readonly [Container]
const portOf = (address: string) => Number(address.slice(address.lastIndexOf(':') + 1))
const file = () => parse(find('ConfigMap').data['skein.yaml'] ?? '') as Record<string, object>

/** As the node of one pod reads it. */
function configOf(name: string) {
  const own = Object.fromEntries(
    node.env.map((one) => [one.name, (one.value ?? name).replace('$(SKEIN_NODE_ID)', name)])
  )
  const { preset, ...fields } = file()
  return resolveConfig({ file: fields, environment: own, preset: preset as unknown as 'lan' })
}

t.test('the configuration holds for every pod, and names all of them', async (t) => {
  const names = Array.from({ length: set.replicas }, (_, i) => `skein-${i}`)
  for (const name of names) {
    const { node, cluster, admin } = configOf(name)
    t.equal(node.id, name)
    t.equal(node.advertiseAddress, `${name}.${set.serviceName}:7946`)
    t.same(cluster.bootstrap?.voters, names)
    t.same(
      cluster.seeds,
      names.map((one) => `${one}.${set.serviceName}:7946`)
    )
    t.equal(admin.tls, true)
  }
})

t.test('the ports are those that are listened on', async (t) => {
  const { node: own, admin } = configOf('skein-0')
  const listened = {
    'skein-tcp': portOf(own.listenAddress),
    'skein-udp': portOf(own.listenAddress),
    admin: portOf(admin.listenAddress ?? '')
  }
  t.equal(listened['skein-tcp'], portOf(resolveConfig(minimal).node.listenAddress), 'the default')
  t.same(Object.fromEntries(node.ports.map((one) => [one.name, one.containerPort])), listened)
  for (const service of manifests.filter(({ kind }) => kind === 'Service')) {
    for (const { name, port, targetPort } of service.spec.ports) {
      t.equal(port, listened[name as keyof typeof listened], `${service.metadata.name} ${name}`)
      t.equal(targetPort, name)
    }
  }
  t.equal(find('Service').spec.clusterIP, 'None')
  t.equal(find('Service').spec.publishNotReadyAddresses, true)
})

const minimal = {
  code: {
    node: { id: 'a', dataDirectory: 'data' },
    cluster: { seeds: ['b:1'] },
    security: { insecure: true }
  }
}

t.test('the probes ask what is answered without a credential', async (t) => {
  const open = probeRoutes(new FakeManager()).filter(({ access }) => access === 'open')
  const paths = open.map(({ url }) => url)
  const { startupProbe, livenessProbe, readinessProbe } = node
  for (const { httpGet } of [startupProbe, livenessProbe, readinessProbe]) {
    t.ok(paths.includes(httpGet.path), httpGet.path)
    t.equal(httpGet.port, 'admin')
    t.equal(httpGet.scheme, 'HTTPS')
  }
  t.equal(readinessProbe.httpGet.path, '/readyz')
  t.not(livenessProbe.httpGet.path, '/readyz', 'a node that drains is not killed for it')
})

t.test('the commands are ours, with options that they have', async (t) => {
  const drain = node.lifecycle.preStop.exec.command.at(-1) ?? ''
  for (const words of [node.command, drain.replaceAll('"', '').trim().split(/\s+/)]) {
    const [program, name, ...rest] = words
    t.equal(program, 'skein')
    const [command] = await loadCommands(name, { line() {}, note() {} })
    t.equal(command?.name(), name)
    const known = (command as Command).options.map(({ long }) => long)
    for (const word of rest.filter((one) => one.startsWith('--'))) t.ok(known.includes(word), word)
  }
  t.match(drain, /"\$SKEIN_NODE_ID"/)
  t.match(
    drain,
    `--admin https://127.0.0.1:${portOf(configOf('skein-0').admin.listenAddress ?? '')}`
  )
})

t.test('a drain has its time, and the stop behind it', async (t) => {
  const phases = drainPhases.map((phase) => restartDefaults[`${phase}TimeoutMs`])
  const drainMs = phases.reduce((sum, ms) => sum + ms, 0)
  const drain = node.lifecycle.preStop.exec.command.at(-1) ?? ''
  const waits = Number(/--timeout-ms (\d+)/.exec(drain)?.[1])
  t.ok(waits >= drainMs, `${waits} of ${drainMs}`)
  t.ok(pod.terminationGracePeriodSeconds * 1_000 >= drainMs + stopTimeoutMs)
})

t.test('files are where they are looked for, and selectors find the pods', async (t) => {
  const { security, admin, node: own } = configOf('skein-0')
  const { caFile, certificateFile, keyFile, gossipKeyFile } = security
  const script = copies.command.at(-1) ?? ''
  for (const path of [caFile, certificateFile, keyFile, gossipKeyFile, admin.tokenFile]) {
    t.match(script, new RegExp(`^cp \\S+ ${path}$`, 'm'))
  }
  t.match(script, /umask 077/)
  const volumes = [...pod.volumes, ...set.volumeClaimTemplates.map(({ metadata }) => metadata)]
  const mounted = [...node.volumeMounts, ...copies.volumeMounts]
  for (const { name } of mounted)
    t.ok(
      volumes.some((one) => one.name === name),
      name
    )
  t.ok(node.volumeMounts.some(({ mountPath }) => mountPath === own.dataDirectory))
  const { labels } = set.template.metadata
  t.same(set.selector.matchLabels, labels)
  t.same(find('PodDisruptionBudget').spec.selector.matchLabels, labels)
  t.equal(find('PodDisruptionBudget').spec.maxUnavailable, 1)
  for (const { kind, spec } of manifests) if (kind === 'Service') t.same(spec.selector, labels)
  t.ok(
    manifests.some(({ kind, metadata }) => kind === 'Service' && metadata.name === set.serviceName)
  )
  t.equal(set.podManagementPolicy, 'Parallel', 'founders wait for one another')
  t.equal(configOf('skein-2').node.id as NodeId, 'skein-2')
})
