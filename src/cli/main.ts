#!/usr/bin/env node
import { runCommandLine } from './command-line.js'
import { ExitCodes } from './exit-codes.js'
import { processOutput } from './output.js'

// Who reads the output may have seen enough of it.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(ExitCodes.Ok)
})

process.exitCode = await runCommandLine(process.argv.slice(2), processOutput)
