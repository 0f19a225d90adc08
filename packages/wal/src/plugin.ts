/** The package as a plugin: provides `LOG`, and its policies as `COMMIT_POLICIES` beside those of other plugins. */
import { type ArchiveFunction, COMMIT_POLICIES, definePlugin, Lifecycle, LOG } from '@pagewright/core';
import * as v from 'valibot';
import { optionProblems, WAL_OPTIONS, type WalOptions } from './options.js';
import { BUILT_IN_POLICIES, WriteAheadLog } from './write-ahead-log.js';

const size = v.exactOptional(v.union([v.number(), v.string()], "must be a number of bytes, or as in '64MiB'"));

const options = v.pipe(
  v.strictObject({
    commit: v.exactOptional(v.pipe(v.string(), v.nonEmpty('must name a commit policy'))),
    durability: v.exactOptional(v.picklist(['durable', 'relaxed', 'none'])),
    groupWindowMs: v.exactOptional(v.number()),
    groupBytes: size,
    batchBytes: size,
    depth: v.exactOptional(v.number()),
    segmentSize: size,
    maxRecordSize: size,
    bufferLimit: size,
    readerLimit: size,
    archiveTimeoutMs: v.exactOptional(v.number()),
    archive: v.exactOptional(
      v.union(
        [
          v.pipe(v.string(), v.nonEmpty('must be the path of a directory, or a function')),
          v.custom<ArchiveFunction>((value) => typeof value === 'function'),
        ],
        'must be the path of a directory, or a function',
      ),
    ),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    // Beside options that do not exist or are of a wrong type the others are checked all the same.
    const wrong = new Set(dataset.issues?.map(({ path }) => path?.[0]?.key));
    // That there is an archive counts, though it be none.
    const given = Object.entries(dataset.value ?? {}).filter(([key]) => !wrong.has(key) || key === 'archive');
    const value: WalOptions = Object.fromEntries(given);
    for (const { option: key, message } of optionProblems(value)) {
      addIssue({ message, path: [{ type: 'object', origin: 'value', input: { ...value }, key, value: value[key] }] });
    }
  }),
);

/** The log, for `compose({ log: wal({ commit: 'pipelined' }) })`. */
export const wal = definePlugin({
  name: '@pagewright/wal',
  kind: 'log',
  contract: 1,
  provides: [LOG, COMMIT_POLICIES],
  options,
  setup(container, chosen: WalOptions) {
    for (const policy of BUILT_IN_POLICIES) container.register(COMMIT_POLICIES, { useValue: policy });
    container.register(WAL_OPTIONS, { useValue: chosen });
    container.register(LOG, { useClass: WriteAheadLog }, { lifecycle: Lifecycle.ContainerScoped });
  },
});

export default wal;
