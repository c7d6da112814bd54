import { NodeDisk } from '../../../src/runtime/index.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { diskContract } from './disk-contract.js'

diskContract('node disk', async (t) => new NodeDisk(await temporaryDirectory(t)))
