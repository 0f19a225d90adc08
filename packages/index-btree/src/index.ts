/** B+-tree index for Pagewright. */
export { BtreeType } from './btree-type.js';
export { btree, btree as default } from './plugin.js';
