/** The library's version, as in package.json; a tidy test compares them. */
export const version = '0.1.0'
