import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The command itself. */
export const mainFile = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** The command as a process of its own, until it ends. */
export async function skein(...args: string[]) {
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
