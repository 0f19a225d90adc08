/** Adaptive radix tree index for Pagewright. */
export { ArtType } from './art-type.js';
export { art, art as default } from './plugin.js';
