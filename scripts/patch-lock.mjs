// Run after a dependency change when `npm ci` says that platform packages are missing from the lock
// file: it adds the entries that the registry in use could not resolve for foreign platforms.
import fs from 'node:fs'

const lock = JSON.parse(fs.readFileSync('package-lock.json'))
const packages = lock.packages
for (const [parent, meta] of Object.entries({ ...packages })) {
  for (const [name, version] of Object.entries(meta.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`
    const os = /(android|darwin|linux|win32|freebsd)/.exec(name)?.[1]
    const cpu = /(arm64|x64|ia32|arm)/.exec(name)?.[1]
    if (packages[key] || packages[`${parent}/${key}`] || !os || !/^\d/.test(version)) continue
    packages[key] = { version, dev: meta.dev, optional: true, cpu: [cpu], os: [os] }
    if (os === 'linux') packages[key].libc = [/musl/.test(name) ? 'musl' : 'glibc']
  }
}
lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)))
fs.writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`)
