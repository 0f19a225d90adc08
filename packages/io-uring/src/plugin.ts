/** The package as a plugin: provides `IO`. */
import { definePlugin, IO, instancePerContainerCachingFactory } from '@pagewright/core';
import * as v from 'valibot';
import { UringFiles } from './backend.js';
import type { UringFilesOptions } from './options.js';

const options = v.strictObject({
  depth: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(16), v.maxValue(4096))),
  kernelThreadIdleMs: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(60_000))),
  direct: v.exactOptional(v.union([v.boolean(), v.picklist(['auto', 'writes'])])),
  registerBuffers: v.exactOptional(v.boolean()),
  hugePages: v.exactOptional(v.boolean()),
  addon: v.exactOptional(v.string()),
});

/** Files by io_uring, for `compose({ io: [ioUring(), ioPosix()] })`. Options are those of {@link UringFiles}. */
export const ioUring = definePlugin({
  name: '@pagewright/io-uring',
  kind: 'io',
  contract: 1,
  provides: [IO],
  options,
  setup(container, chosen: UringFilesOptions) {
    container.register(IO, { useFactory: instancePerContainerCachingFactory(() => new UringFiles(chosen)) });
  },
});

export default ioUring;
