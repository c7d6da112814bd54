export type { AppliedHandler, ChangeOptions, Control } from './control.js'
export type { ControlDriver } from './control-driver.js'
export type { Applied, AppliedAt, ControlSection } from './section.js'
