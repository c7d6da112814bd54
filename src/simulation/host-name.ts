/** Hosts count from 0, their nodes are called n1, n2, …: what a person reads says the latter. */
export const hostName = (host: number): string => `n${host + 1}`
