import type { Control } from './control.js'

export type ControlDriver = Control
