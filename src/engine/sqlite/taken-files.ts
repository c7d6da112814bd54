/** Copies of the database that may be open at a time: one for followers, one for a backup. */
export const takenFiles = ['snapshot.sqlite', 'snapshot-2.sqlite'] as const
