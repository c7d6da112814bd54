import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor
} from '@opentelemetry/sdk-trace-base'
import t from 'tap'
import { runThreeNodes } from '../../examples/embed.js'
import { must } from '../../src/core/index.js'

const exporter = new InMemorySpanExporter()
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
trace.setGlobalTracerProvider(
  new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
)

t.test('one trace goes from the caller through two nodes', async (t) => {
  const managers = await runThreeNodes(t.testdir())
  t.teardown(async () => {
    for (const manager of managers) await manager.stop({ drain: false })
  })
  const first = must(managers[0], 'first')
  await first.executeQuery('add geese 1', { timeoutMs: 20_000 })
  const { leader } = must(first.getClusterView().groups[0], 'group')
  const follower = must(
    managers.find(({ nodeId }) => nodeId !== leader),
    'a follower'
  )
  await follower.executeQuery('add geese 1', { timeoutMs: 20_000 })
  exporter.reset()

  const caller = trace.getTracer('test').startSpan('caller')
  await context.with(trace.setSpan(context.active(), caller), () =>
    follower.executeQuery('add geese 1', { timeoutMs: 20_000 })
  )
  caller.end()

  const { traceId, spanId } = caller.spanContext()
  const spans = exporter.getFinishedSpans().filter((s) => s.spanContext().traceId === traceId)
  const named = (name: string): ReadableSpan =>
    must(
      spans.find((span) => span.name === name),
      `${name} among ${spans.map((span) => span.name)}`
    )
  const isChildOf = (child: ReadableSpan, parent: ReadableSpan) =>
    t.equal(parentOf(child), parent.spanContext().spanId, `${child.name} in ${parent.name}`)
  t.equal(parentOf(named('query')), spanId)
  isChildOf(named('route'), named('query'))
  isChildOf(named('request Query'), named('query'))
  isChildOf(named('handle Query'), named('request Query'))
  t.match(named('route').attributes, { 'skein.group': 0, 'skein.node': leader })
  t.match(named('request Query').attributes, { 'skein.peer': leader, 'skein.message': 'Query' })
  t.match(named('handle Query').attributes, { 'skein.peer': follower.nodeId })
  const others = exporter.getFinishedSpans().filter((s) => s.spanContext().traceId !== traceId)
  t.same(
    others.map(({ name }) => name),
    [],
    'what nodes say for themselves begins no trace'
  )
})

t.test('a failed query fails its span, with the code', async (t) => {
  const managers = await runThreeNodes(t.testdir())
  t.teardown(async () => {
    for (const manager of managers) await manager.stop({ drain: false })
  })
  const [first, second] = managers
  await must(first, 'first').executeQuery('add geese 1', { timeoutMs: 20_000 })
  exporter.reset()
  const aborted = AbortSignal.abort()
  await t.rejects(must(second, 'second').executeQuery('add geese 1', { signal: aborted }))
  const failed = exporter.getFinishedSpans().find(({ name }) => name === 'query')
  t.match(failed, { status: { code: 2 }, attributes: { 'error.type': 'ERR_SKEIN_CANCELLED' } })
})

/** Its name has changed between versions of the SDK. */
const parentOf = (span: ReadableSpan): string | undefined =>
  'parentSpanContext' in span
    ? (span.parentSpanContext as { spanId: string } | undefined)?.spanId
    : span.parentSpanId
