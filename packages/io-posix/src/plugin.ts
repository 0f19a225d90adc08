/** The package as a plugin: provides `IO`. */
import { definePlugin, IO, instancePerContainerCachingFactory } from '@pagewright/core';
import * as v from 'valibot';
import { PosixFiles, type PosixFilesOptions } from './posix-files.js';

const options = v.strictObject({
  native: v.exactOptional(v.union([v.boolean(), v.literal('auto')])),
  threads: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(256))),
  depth: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1024))),
  direct: v.exactOptional(v.union([v.boolean(), v.picklist(['auto', 'writes'])])),
  readahead: v.exactOptional(v.boolean()),
  hugePages: v.exactOptional(v.boolean()),
});

/** Files for `compose({ io: ioPosix() })`. Options are those of {@link PosixFiles}. */
export const ioPosix = definePlugin({
  name: '@pagewright/io-posix',
  kind: 'io',
  contract: 1,
  provides: [IO],
  options,
  setup(container, chosen: PosixFilesOptions) {
    container.register(IO, { useFactory: instancePerContainerCachingFactory(() => new PosixFiles(chosen)) });
  },
});

export default ioPosix;
