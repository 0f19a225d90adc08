/** Entries that are there only to take room: more of them than the pool holds. */
export const FILLING = { key: 'u32', value: 'buffer' } as const;
export const FILLING_ENTRIES = 4_000;
export const FILLING_BYTES = 800;
