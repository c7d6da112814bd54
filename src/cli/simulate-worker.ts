import { serveSeeds, simulate } from '../../lib/testing.js'

serveSeeds(simulate)
