/** The HTTP admin API, loaded only by who wants it. */
export {
  type AdminServer,
  type AdminServerOptions,
  type AdminTls,
  type AdminToken,
  createAdminServer,
  issueToken,
  parseTokens,
  type Role,
  Roles,
  tokenOf
} from '../src/admin/index.js'
