export { SegmentedLog, type SegmentedLogOptions } from './log/segmented-log-driver.js'
