/** The package as a plugin: provides `INDEXES` with the type `btree`. */
import { definePlugin, INDEXES, instancePerContainerCachingFactory } from '@pagewright/core';
import * as v from 'valibot';
import { BtreeType } from './btree-type.js';

/** The B+-tree, for `compose({ indexes: btree() })`. It has no options. */
export const btree = definePlugin({
  name: '@pagewright/index-btree',
  kind: 'index',
  type: 'btree',
  contract: 1,
  provides: [INDEXES],
  options: v.strictObject({}),
  setup(container) {
    container.register(INDEXES, { useFactory: instancePerContainerCachingFactory(() => new BtreeType()) });
  },
});

export default btree;
