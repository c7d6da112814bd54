/** The HTTP admin API, loaded only by who wants it. */
export {
  type AdminServer,
  type AdminServerOptions,
  createAdminServer
} from '../src/admin/index.js'
