/** The package as a plugin: provides `PAGES`. */
import { definePlugin, instancePerContainerCachingFactory, PAGES } from '@pagewright/core';
import * as v from 'valibot';
import { BufferPool } from './buffer-pool.js';
import { type BufferPoolOptions, optionProblems } from './options.js';

const size = v.exactOptional(v.union([v.number(), v.string()], "must be a number of bytes, or as in '64MiB'"));

const options = v.pipe(
  v.strictObject({ memory: size, pageSize: size, coolingFraction: v.exactOptional(v.number()) }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const { option, message } of optionProblems(dataset.value)) {
      const path = {
        type: 'object',
        origin: 'value',
        input: dataset.value,
        key: option,
        value: dataset.value[option],
      } as const;
      addIssue({ message, path: [path] });
    }
  }),
);

/** The buffer pool, for `compose({ pages: bufferPool({ memory: '1GiB' }) })`. */
export const bufferPool = definePlugin({
  name: '@pagewright/bufferpool',
  kind: 'pages',
  contract: 1,
  provides: [PAGES],
  options,
  setup(container, chosen: BufferPoolOptions) {
    container.register(PAGES, { useFactory: instancePerContainerCachingFactory(() => new BufferPool(chosen)) });
  },
});

export default bufferPool;
