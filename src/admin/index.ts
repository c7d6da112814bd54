export { type AdminServer, type AdminServerOptions, createAdminServer } from './admin-server.js'
