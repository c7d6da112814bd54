/**
 * Bounds that are part of the contract between nodes: the same on every node of a cluster,
 * therefore constants and not configuration. Every queue and table bound that a node may choose
 * is in its room's section of the configuration. `docs/limits.md` lists all of them.
 */
import { assert } from './assert.js'

/** The fixed frame header. */
export const frameHeaderBytes = 32
/** A whole frame, header included; longer messages travel as chunks. */
export const frameSizeBytesMax = 64 * 1024
/** The extension block of a frame. */
export const extensionSizeBytesMax = 256
/** One message, reassembled. */
export const messageSizeBytesMax = 1024 * 1024
/** A datagram with header, encryption and all, below the smallest common path MTU. */
export const datagramSizeBytesMax = 1400
/** What a room beside membership may put into one datagram; fits whatever the sender's name. */
export const datagramExtraBytesMax = 1_240
/** Metadata of one member, encoded. */
export const memberMetadataBytesMax = 512
/** Tags of one member, and each in UTF-8. */
export const memberTagsMax = 16
export const memberTagBytesMax = 63
/** Versioned pairs of one member: how many, deleted ones included, and their texts in all. */
export const memberEntriesMax = 64
export const memberEntriesBytesMax = 16 * 1024
/** One of them, in UTF-8. */
export const memberEntryKeyBytesMax = 128
export const memberEntryValueBytesMax = 512
/** One command as it stands in the log; leaves room for the entry's own fields in a message. */
export const commandSizeBytesMax = 768 * 1024
/** A result as it passes the wire. */
export const resultSizeBytesMax = 960 * 1024
/** A result kept for an exactly-once retry. */
export const keptResultSizeBytesMax = 4 * 1024
/** One statement's text. */
export const sqlTextBytesMax = 512 * 1024

/** Of a change of the schema of tables that are spread over groups. */
export const schemaTextBytesMax = 16 * 1024

/** Groups for data that a cluster may be founded with. */
export const dataGroupsMax = 4_000

/**
 * Writes that a node keeps open under its own client id, from the oldest to the newest; every
 * leader must keep answers for as many.
 */
export const openSerialsMax = 1_024

assert(frameHeaderBytes + extensionSizeBytesMax < frameSizeBytesMax, 'a frame must have a body')
assert(commandSizeBytesMax < messageSizeBytesMax, 'a command must fit a message')
assert(resultSizeBytesMax < messageSizeBytesMax, 'a result must fit a message')
