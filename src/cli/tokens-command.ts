import { appendFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { issueToken, type Role, Roles } from '../../lib/admin.js'
import { isNodeId } from '../core/index.js'
import { usageError } from './exit-codes.js'
import type { Output } from './output.js'

interface IssueOptions {
  readonly file: string
  readonly name: string
  readonly role: Role
  readonly json?: boolean
}

export function tokensCommand(output: Output): Command {
  const tokens = new Command('tokens').description('let people and programs into the admin API')
  tokens
    .command('issue')
    .description('make a token, print it once, and add its digest to the file of a node')
    .requiredOption('--file <file>', 'admin.tokenFile of the node; made when it is missing')
    .requiredOption('--name <name>', 'who bears it, for the audit trail')
    .addOption(
      new Option('--role <role>', 'what its bearer may do')
        .choices(Object.values(Roles))
        .default(Roles.Read)
    )
    .option('--json', 'print JSON')
    .action((options: IssueOptions) => issue(options, output))
  return tokens
}

async function issue({ file, name, role, json }: IssueOptions, output: Output): Promise<void> {
  if (!isNodeId(name))
    throw usageError(`--name: ${JSON.stringify(name)} must match [a-z0-9-]{1,63}`)
  const { token, line } = issueToken(name, role)
  try {
    await appendFile(file, `${line}\n`, { mode: 0o600 })
  } catch (cause) {
    throw usageError(`--file: ${(cause as Error).message}`)
  }
  if (json) return output.line(JSON.stringify({ name, role, token }))
  output.line(token)
  output.note(`its digest is in ${file}; a node reads the file when it starts`)
}
