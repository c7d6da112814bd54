import { InlineWorkers } from '../../../src/runtime/index.js'
import { workersContract } from './workers-contract.js'

workersContract('inline', () => new InlineWorkers())
