import { readFile } from 'node:fs/promises'

/** The kernel's unit of these two fields. */
const ticksPerSecond = 100
const userTicks = 13
const systemTicks = 14

/** CPU time of other processes so far; NaN where there is no `/proc`. */
export async function cpuMsOf(pids: readonly number[]): Promise<number> {
  const times = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      // The name before it may hold spaces.
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
      return Number(fields[userTicks - 2]) + Number(fields[systemTicks - 2])
    })
  )
  return (times.reduce((sum, ticks) => sum + ticks, 0) * 1_000) / ticksPerSecond
}

/** Of this process. */
export function ownCpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
