/**
 * What is where in a record of old versions, in words (32 bits) and numbers (64 bits) from its first block on. Word 0 is the blocks' own.
 * A *chain* is of one key, in one incarnation of its index; a *version* is in the chain of its key.
 */

/** Chain: 1 the key's hash, 2 the next chain in the same bucket, 3 index, 4–5 incarnation, 6 first version, 7 last, 8 versions, 9 bytes of the key. */
export const CHAIN_HASH = 1;
export const CHAIN_NEXT = 2;
export const CHAIN_INDEX = 3;
export const CHAIN_INCARNATION_F64 = 2;
export const CHAIN_FIRST = 6;
export const CHAIN_LAST = 7;
export const CHAIN_COUNT = 8;
export const CHAIN_KEY_LENGTH = 9;
/** The key, from this byte on. */
export const CHAIN_KEY = 40;

/** Version: 1 bytes of the value or {@link ABSENT}, 2–3 the commit that put something else in its place, 4 chain, 5 the next younger one in the chain, 6 and 7 those before and behind it in order of replacement. */
export const VERSION_LENGTH = 1;
export const VERSION_REPLACED_F64 = 1;
export const VERSION_CHAIN = 4;
export const VERSION_YOUNGER = 5;
export const VERSION_AHEAD = 6;
export const VERSION_BEHIND = 7;
/** The value, from this byte on. */
export const VERSION_VALUE = 32;
export const ABSENT = -1;

/** Tombstone that a thread has left: 1 the next one, 2–3 its commit, 4–5 incarnation, 6 index, 7 bytes of the key. */
export const LEFT_NEXT = 1;
export const LEFT_TIMESTAMP_F64 = 1;
export const LEFT_INCARNATION_F64 = 2;
export const LEFT_INDEX = 6;
export const LEFT_KEY_LENGTH = 7;
export const LEFT_KEY = 32;
