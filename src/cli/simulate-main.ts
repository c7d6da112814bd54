#!/usr/bin/env node
/** `npm run simulate`: the same as `skein simulate`. */
import { simulateCommand } from './simulate-command.js'

const badArguments = 2

await simulateCommand()
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : badArguments))
  .parseAsync()
