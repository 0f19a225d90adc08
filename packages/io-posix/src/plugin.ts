/** The package as a plugin: provides `IO`. */
import { definePlugin, IO, instancePerContainerCachingFactory } from '@pagewright/core';
import * as v from 'valibot';
import { NodeFiles, type NodeFilesOptions } from './backend.js';

const options = v.strictObject({
  depth: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1024))),
});

/** Files by `node:fs`, for `compose({ io: ioPosix() })`. Options are those of {@link NodeFiles}. */
export const ioPosix = definePlugin({
  name: '@pagewright/io-posix',
  kind: 'io',
  contract: 1,
  provides: [IO],
  options,
  setup(container, chosen: NodeFilesOptions) {
    container.register(IO, { useFactory: instancePerContainerCachingFactory(() => new NodeFiles(chosen)) });
  },
});

export default ioPosix;
