/** Bytes of the ordered format that both its writer and its reader know. Tags are in the order of the types. */

/** Ends arrays and whatever has no length of its own. Lower than any tag, so that what is a prefix sorts first. */
export const END = 0x00;
/** Follows a zero that is content. Higher than any tag, so that it cannot be taken for what follows {@link END}. */
export const ESCAPED = 0xff;

export const NULL = 0x10;
export const FALSE = 0x18;
export const TRUE = 0x19;
export const NEGATIVE_NUMBER = 0x20;
export const NUMBER = 0x21;
export const BIGINT = 0x28;
export const NEGATIVE_DATE = 0x30;
export const DATE = 0x31;
export const STRING = 0x40;
export const BYTES = 0x48;
export const ARRAY = 0x50;

/** The byte that says sign and length of a bigint is this one plus or minus the number of its bytes. */
export const BIGINT_ZERO = 0x80;
export const MOST_BIGINT_BYTES = 0x7f;

export const MOST_DEPTH = 64;
