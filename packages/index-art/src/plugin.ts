/** The package as a plugin: provides `INDEXES` with the type `art`. */
import { definePlugin, INDEXES, instancePerContainerCachingFactory } from '@pagewright/core';
import * as v from 'valibot';
import { ArtType } from './art-type.js';

/** The adaptive radix tree, for `compose({ indexes: [btree(), art()] })`. It has no options. */
export const art = definePlugin({
  name: '@pagewright/index-art',
  kind: 'index',
  type: 'art',
  contract: 1,
  provides: [INDEXES],
  options: v.strictObject({}),
  setup(container) {
    container.register(INDEXES, { useFactory: instancePerContainerCachingFactory(() => new ArtType()) });
  },
});

export default art;
