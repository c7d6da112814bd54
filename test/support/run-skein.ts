import { spawn } from 'node:child_process'
import { runCommandLine } from '../../src/cli/command-line.js'
import { mainFile } from './main-file.js'

export interface Ended {
  readonly stdout: string
  readonly stderr: string
  readonly status: number | null
}

// Commander takes options from the environment; whoever runs the tests may have a cluster there.
for (const name of Object.keys(process.env)) {
  if (name.startsWith('SKEIN_')) delete process.env[name]
}

/** The command in this process: to start one takes longer than most of what is asked. */
export async function skein(...args: string[]): Promise<Ended> {
  let stdout = ''
  let stderr = ''
  const status = await runCommandLine(args, {
    line: (text) => {
      stdout += `${text}\n`
    },
    note: (text) => {
      stderr += `${text}\n`
    }
  })
  return { stdout, stderr, status }
}

/** The command as a process of its own, until it ends. */
export async function skeinProcess(...args: string[]): Promise<Ended> {
  const env = { PATH: process.env.PATH ?? '' }
  const child = spawn(process.execPath, [mainFile, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { stdout, stderr, status }
}
