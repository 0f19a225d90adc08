/** What indexes on pages have in common, whatever their nodes look like. */
export { assertBatchLimit, assertKeyFits } from './arguments.js';
export { HeldLatches } from './held-latches.js';
export { KeyPrefetch } from './key-prefetch.js';
export { LargeValues } from './large-values.js';
export { latchChild } from './latch-child.js';
export { isLeftForLater } from './left-for-later.js';
export { PackedKeyMemory } from './packed-key-memory.js';
export { ResultSlab, unfilled } from './result-slab.js';
export { VALUE_HEADER_SIZE, VALUE_LENGTH } from './value-layout.js';
