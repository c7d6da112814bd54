export { type Role, Roles } from './access/roles.js'
export { type AdminToken, issueToken, parseTokens, tokenOf } from './access/tokens.js'
export {
  type AdminServer,
  type AdminServerOptions,
  type AdminTls,
  createAdminServer
} from './admin-server.js'
