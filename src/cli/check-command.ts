/** `check`: whether a history of operations keeps a promise. */
import { readFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { type HistoryVerdict, judgeHistory, type ModelName, modelNames } from './check-models.js'
import { CliError, usageError } from './exit-codes.js'
import { type Output, printable } from './output.js'

interface Flags {
  readonly model: ModelName
  readonly keys?: string
  readonly json?: true
}

/** Findings that are told one by one; the JSON has them all. */
const shownMax = 20

const help = `
The file holds one JSON object a line, in the order in which things happened:
  {"process": 3, "type": "invoke", "op": "write", "key": "x", "value": 7}
type is invoke, ok, fail or info (nobody knows); op is read, write, append or cas, whose value is
[expected, wanted]. Lines with the same "tx" are one transaction.

Examples:
  skein check history.jsonl --model register              linearizable, key by key
  skein check history.jsonl --model list-append --keys list/   strictly serializable

Exit status: 0 when the history is accepted, 1 when it is rejected or cannot be decided, 2 when the
file holds no history.`

export function checkCommand(output: Output): Command {
  return new Command('check')
    .description('check a history of operations against a model')
    .argument('<history>', 'the file')
    .addOption(
      new Option('--model <model>', 'what the operations were done to')
        .choices(modelNames)
        .makeOptionMandatory()
    )
    .option('--keys <prefix>', 'only operations whose key begins so')
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action((file: string, flags: Flags) => run(file, flags, output))
}

/** @throws CliError, InvalidArgumentError */
async function run(file: string, flags: Flags, output: Output): Promise<void> {
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw usageError(`cannot read ${file}: ${cause.message}`)
  })
  const verdict = judgeHistory(text, flags.model, flags.keys ?? '')
  output.line(flags.json ? JSON.stringify(verdict) : formatVerdict(verdict))
  if (!verdict.ok) throw new CliError(`${file} is ${verdict.verdict}`)
}

function formatVerdict({ verdict, model, operations, findings }: HistoryVerdict): string {
  const head = `${verdict}: ${operations} operations as ${model}`
  const shown = findings.slice(0, shownMax).map((finding) => printable(JSON.stringify(finding)))
  const rest = findings.length - shown.length
  return [head, ...shown, ...(rest > 0 ? [`and ${rest} more: see --json`] : [])].join('\n')
}
